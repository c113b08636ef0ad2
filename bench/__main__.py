"""`make bench`: everything, one table after the other."""

from bench import railway, rooms

if __name__ == "__main__":
    rooms.main()
    print()
    railway.main()
