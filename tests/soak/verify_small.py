"""The command with the small claim of the soak, in a process of its own and in its workers."""

from small_claims import register

from ilr_check.cli import main

register()  # also where a worker imports this file

if __name__ == "__main__":
    main()
