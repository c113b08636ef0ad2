"""`make bench`: everything, one table after the other."""

from bench import evidence, railway, rooms

if __name__ == "__main__":
    rooms.main()
    print()
    evidence.main()
    print()
    railway.main()
