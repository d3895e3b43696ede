"""The estimates of the error that rank without a clean picture, on 9 noisy crops."""

from __future__ import annotations

from bayesdip.comparison.splits import ESTIMATORS
from benchmarks.compare import AMOUNTS, CLOSE_ENOUGH, compared, mean, row_of
from benchmarks.options import Options
from benchmarks.pictures import noisy_pairs
from benchmarks.results import Results

# Methods that take seconds.
QUICK = ("gp", "patches", "baselines")


def run(results: Results, options: Options) -> None:
    """Denoising by quick methods, ranked by each estimator that there is."""
    for estimator in ESTIMATORS:
        for pair in noisy_pairs(options.folder, options.pictures, AMOUNTS["fast"]["side"]):
            if not results.has(estimator=estimator, picture=pair.name):
                found = compared(pair, methods=QUICK, estimator=estimator, seed=options.seed)
                results.add({"estimator": estimator, "picture": pair.name} | row_of(found))
    summary = {}
    for estimator in ESTIMATORS:
        mine = [row for row in results.rows if row["estimator"] == estimator]
        summary[estimator] = {
            "right": sum(row["loss_db"] <= CLOSE_ENOUGH for row in mine),
            "pictures": len(mine),
            "mean_loss_db": mean(row["loss_db"] for row in mine),
        }
        summary[estimator] |= {
            column: mean(row[column] for row in mine) for column in ("kendall", "gap_error_db", "seconds")
        }
    results.conclude(**summary)
