"""The report of drills: a table in the terminal, JSON for programs, one HTML page for people.

    runs = report.Runs()
    runs.keep(report.run_of(result, number, file))      its figures at once; its requests stay in the file
    report.table(runs)              for the terminal
    report.write(runs, folder)      results.json and report.html

`write` and `table` take plain results, too.
"""

from drills.report.summary import Run, Runs, run_of
from drills.report.table import table
from drills.report.writing import write

__all__ = ["Run", "Runs", "run_of", "table", "write"]
