"""`python -m contentq`: the command line."""

from contentq.cli.main import run

if __name__ == "__main__":
    run()
