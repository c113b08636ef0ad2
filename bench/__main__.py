"""`make bench`: everything, one table after the other."""

from bench import assessment, railway, rooms

if __name__ == "__main__":
    assessment.main()
    print()
    rooms.main()
    print()
    railway.main()
