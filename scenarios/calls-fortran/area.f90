! The area of a triangle with sides a, b and c, by Heron's formula.
real function area(a, b, c)
  implicit none
  real, intent(in) :: a, b, c
  real :: half

  half = (a + b + c) / 2.0
  area = sqrt(half * (half - a) * (half - b) * (half - c))
end function area
