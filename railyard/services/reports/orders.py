"""Orders in SQLite, and the monthly report of one customer."""

import sqlite3
from pathlib import Path

ROWS = 900_000
CUSTOMERS = 20_000
MONTHS = 36
SCHEMA = Path(__file__).with_name("schema.sql")
# Stands for what years of trade have left in the table.
FILL = """
INSERT INTO orders (customer_id, month, cents)
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?)
SELECT (i * 7919) % ?, i % ? + 1, (i * 31) % 10000 FROM n
"""
MONTH = "SELECT COUNT(*), COALESCE(SUM(cents), 0) FROM orders WHERE customer_id = ? AND month = ?"


def prepare(database: str, rows: int = ROWS) -> int:
    """Create what is missing; returns the number of rows."""
    connection = sqlite3.connect(database)
    with connection:
        connection.executescript(SCHEMA.read_text())
        (have,) = connection.execute("SELECT COUNT(*) FROM orders").fetchone()
        if not have:
            connection.execute(FILL, (rows, CUSTOMERS, MONTHS))
    (have,) = connection.execute("SELECT COUNT(*) FROM orders").fetchone()
    connection.close()
    return have


def report(connection: sqlite3.Connection, customer_id: int) -> dict:
    """Number and sum of the customer's orders for each month."""
    months = [connection.execute(MONTH, (customer_id, month)).fetchone() for month in range(1, MONTHS + 1)]
    return {
        "customer": customer_id,
        "months": [{"orders": count, "cents": cents} for count, cents in months],
    }
