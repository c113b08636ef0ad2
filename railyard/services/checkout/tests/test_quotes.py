import unittest

import quotes

ITEMS = [{"name": "tea", "amount": 2, "price": 3.5}, {"name": "cup", "amount": 1, "price": 8.0}]


class QuoteTest(unittest.TestCase):
    def test_total(self) -> None:
        self.assertIn(b"<b>15.00</b>", quotes.quote("q1", ITEMS))

    def test_reload_gives_the_same_page(self) -> None:
        self.assertIs(quotes.quote("q2", ITEMS), quotes.quote("q2", []))


if __name__ == "__main__":
    unittest.main()
