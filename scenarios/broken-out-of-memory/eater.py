"""Takes memory, and uses it, until the kernel ends this."""

STEP_BYTES = 16 << 20

taken = []
while True:
    # Filled, because pages of zeros are only promised, not given.
    taken.append(b"x" * STEP_BYTES)
