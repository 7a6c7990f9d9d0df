"""The tables of routes, the list of all operations of the API and docs/api-coverage.md agree."""
import pathlib
import subprocess
import unittest

ROOT = pathlib.Path(__file__).parents[2]


class Coverage(unittest.TestCase):
    def test_page_is_up_to_date(self):
        run = subprocess.run([ROOT / "tools/api_coverage.py", "--check"], capture_output=True,
                             text=True)
        self.assertEqual(run.returncode, 0, run.stdout + run.stderr)
