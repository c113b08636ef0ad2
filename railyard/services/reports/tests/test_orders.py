import sqlite3
import tempfile
import unittest
from pathlib import Path

import orders


class ReportTest(unittest.TestCase):
    def setUp(self) -> None:
        self.folder = tempfile.TemporaryDirectory()
        self.database = str(Path(self.folder.name) / "orders.db")

    def tearDown(self) -> None:
        self.folder.cleanup()

    def test_preparing_twice_adds_nothing(self) -> None:
        self.assertEqual(orders.prepare(self.database, 500), 500)
        self.assertEqual(orders.prepare(self.database, 500), 500)

    def test_the_months_hold_all_orders(self) -> None:
        orders.prepare(self.database, 40_000)
        connection = sqlite3.connect(self.database)
        (expected,) = connection.execute("SELECT COUNT(*) FROM orders WHERE customer_id = 7919").fetchone()
        report = orders.report(connection, 7919)
        connection.close()
        self.assertEqual(len(report["months"]), orders.MONTHS)
        self.assertEqual(sum(month["orders"] for month in report["months"]), expected)


if __name__ == "__main__":
    unittest.main()
