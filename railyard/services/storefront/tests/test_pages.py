import unittest

import pages


class PageTest(unittest.TestCase):
    def test_pages_repeat_and_differ(self) -> None:
        self.assertEqual(pages.page(1), pages.page(1))
        self.assertNotEqual(pages.page(1), pages.page(2))


if __name__ == "__main__":
    unittest.main()
