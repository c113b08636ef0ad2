"""Orders in SQLite, and the monthly report of one customer."""

import sqlite3
import time
from pathlib import Path

# Stands for what years of trade have left in the table: rows for which a report takes so many seconds.
REPORT_SECONDS = 1.2
TRIAL_ROWS = 50_000
CUSTOMERS = 20_000
MONTHS = 36
SCHEMA = Path(__file__).with_name("schema.sql")
FILL = """
INSERT INTO orders (customer_id, month, cents)
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?)
SELECT (i * 7919) % ?, i % ? + 1, (i * 31) % 10000 FROM n
"""
MONTH = "SELECT COUNT(*), COALESCE(SUM(cents), 0) FROM orders WHERE customer_id = ? AND month = ?"


def prepare(database: str, rows: int | None = None) -> int:
    """Create what is missing; returns the number of rows."""
    connection = sqlite3.connect(database)
    with connection:
        connection.executescript(SCHEMA.read_text())
        (have,) = connection.execute("SELECT COUNT(*) FROM orders").fetchone()
        if not have:
            connection.execute(FILL, (rows or years_of_trade(), CUSTOMERS, MONTHS))
    (have,) = connection.execute("SELECT COUNT(*) FROM orders").fetchone()
    connection.close()
    return have


def years_of_trade() -> int:
    """Number of rows, by the processor time of a report on few: a busy machine gets no fewer."""
    trial = sqlite3.connect(":memory:")
    trial.executescript("CREATE TABLE orders (id INTEGER PRIMARY KEY, customer_id, month, cents)")
    trial.execute(FILL, (TRIAL_ROWS, CUSTOMERS, MONTHS))
    began = time.thread_time()
    report(trial, customer_id=1)
    seconds = time.thread_time() - began
    trial.close()
    return int(TRIAL_ROWS * REPORT_SECONDS / seconds)


def report(connection: sqlite3.Connection, customer_id: int) -> dict:
    """Number and sum of the customer's orders for each month."""
    months = [connection.execute(MONTH, (customer_id, month)).fetchone() for month in range(1, MONTHS + 1)]
    return {
        "customer": customer_id,
        "months": [{"orders": count, "cents": cents} for count, cents in months],
    }
