"""The orders' database, through a pool of connections."""
import os

from psycopg_pool import ConnectionPool

_pool = None


def pool():
    global _pool
    if _pool is None:
        _pool = ConnectionPool(os.environ["DATABASE_URL"], max_size=10, timeout=5)
    return _pool


def _one(sql, *values):
    connection = pool().getconn()
    try:
        return connection.execute(sql, values).fetchone()
    finally:
        pool().putconn(connection)


def find_order(number):
    row = _one("select body from orders where id = %s", number)
    return row[0] if row else None


def save_order(order):
    _one("insert into orders (id, body) values (%s, %s) returning id", order["id"], order)


def orders_of_today():
    with pool().connection() as connection:
        return [row[0] for row in connection.execute("select body from orders where day = current_date")]
