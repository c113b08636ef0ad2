"""Run all benchmarks: `make bench`."""

from bench import assessment, border, command_line, evidence, railway, scale

if __name__ == "__main__":
    for each in (assessment, evidence, railway, border, command_line, scale):
        each.main()
        print()
