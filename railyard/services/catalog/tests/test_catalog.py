import unittest

import catalog


class CatalogTest(unittest.TestCase):
    def test_overview_names_every_product(self) -> None:
        self.assertEqual(len(catalog.overview()), 40)

    def test_detail_of_a_product_on_sale(self) -> None:
        shown = catalog.detail(catalog.find("1"))
        self.assertEqual(shown["name"], "Tea no. 1")
        self.assertEqual(shown["price"], 317)

    def test_unknown_product(self) -> None:
        self.assertIsNone(catalog.find("99"))


if __name__ == "__main__":
    unittest.main()
