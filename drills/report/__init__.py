"""The report of drills: a table in the terminal, JSON for programs, one HTML page for people.

    runs = report.Runs()
    run = runs.add(result)          its figures at once; of each drill the worst run alone keeps its requests
    report.table(runs)              for the terminal
    report.write(runs, folder)      results.json and report.html

`write` and `table` take plain results, too.
"""

from drills.report.summary import Runs
from drills.report.table import table
from drills.report.writing import write

__all__ = ["Runs", "table", "write"]
