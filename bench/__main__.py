"""Run all benchmarks: `make bench`."""

from bench import assessment, border, command_line, evidence, railway, scale, wide_incident

if __name__ == "__main__":
    assessment.main()
    print()
    evidence.main()
    print()
    railway.main()
    print()
    border.main()
    print()
    command_line.main()
    print()
    wide_incident.main()
    print()
    scale.main()
