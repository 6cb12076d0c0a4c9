"""The report of drills: a table in the terminal, JSON for programs, one HTML page for people.

report.write(results, folder)   results.json and report.html
report.table(results)           for the terminal
"""

from drills.report.table import table
from drills.report.writing import write

__all__ = ["table", "write"]
