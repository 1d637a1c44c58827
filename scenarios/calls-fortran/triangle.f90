! Prints the areas of triangles, one line per call of `area`: how many, and with which pause between them, is said on the
! command line. `area` is an external function, so that the compiler calls it `area_` and cannot see through its calls.
program triangle
  implicit none
  real :: area
  external :: area
  character(len=32) :: argument
  integer :: calls, pause_seconds, i
  real :: a, b, c

  call get_command_argument(1, argument)
  read (argument, *) calls
  call get_command_argument(2, argument)
  read (argument, *) pause_seconds

  do i = 1, calls
     a = 3.0 + i
     b = 4.0 + i
     c = 5.0 + i
     print '(A, I0, A, F0.3)', 'triangle ', i, ' area ', area(a, b, c)
     if (pause_seconds > 0) call sleep(pause_seconds)
  end do
end program triangle
