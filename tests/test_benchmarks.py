"""The benchmark's pure parts, and the two projects that it makes of one history."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree
from datetime import UTC, datetime
from pathlib import Path

import pytest

from benchmarks.__main__ import arguments
from benchmarks.adopting import adopt
from benchmarks.contenders import Contender, as_python, last_line
from benchmarks.docs import write_docs
from benchmarks.fits import fit_line, fit_power
from benchmarks.generated import Generated
from benchmarks.history import NEEDS_USER, History
from benchmarks.plots import COLOURS, write_plots
from benchmarks.report import report, table
from benchmarks.results import BARE, CHRONOMIG, OWN, STOCK, Cell, Row, load, pairs_by_size, save, together
from benchmarks.sizes import DEFAULT, FULL, QUICK
from benchmarks.svg import TOP, Axis, Series, axes_for, plot
from benchmarks.workloads import Task, Workload, deep, hub, suite, undo
from chronomig.timeline import read_timeline

SVG = "{http://www.w3.org/2000/svg}"


def row(size: int, operations: int, stock: float, bare: float, task: Task = Task.FORWARD) -> Row:
    cells = {
        STOCK: Cell({0: stock, 1: stock}),
        CHRONOMIG: Cell({0: 2 * bare, 1: 4 * bare}),
        BARE: Cell({0: bare, 1: bare}),
    }
    return Row("hub", size, "sqlite", task, operations, cells)


def test_a_power_is_found_again() -> None:
    fit = fit_power([(size, 0.5 * size**1.5) for size in (100, 300, 1000)])
    assert fit is not None
    assert (fit.factor, fit.exponent) == pytest.approx((0.5, 1.5))
    assert str(fit) == "~ N^1.50"


def test_a_power_leaves_out_what_is_not_above_zero_and_needs_two_sizes() -> None:
    assert fit_power([(10, -1), (100, 4), (1000, 4)]) == fit_power([(100, 4), (1000, 4)])
    assert fit_power([(10, 0), (100, 4)]) is None
    assert fit_power([(100, 4), (100, 5)]) is None


def test_a_line_is_found_again() -> None:
    fit = fit_line([(0, 1), (1000, 3), (2000, 5)])
    assert fit is not None
    assert (fit.start, fit.slope) == pytest.approx((1, 0.002))
    assert str(fit) == "= 1.00 s + 2.00 s per thousand"
    assert str(fit_line([(0, 1), (1000, 0.5)])) == "= 1.00 s - 0.50 s per thousand"


def test_a_plot_is_svg_with_every_point_its_fits_and_a_legend() -> None:
    points = [(100.0, 3.0), (1000.0, 30.0)]
    text = plot(
        "a < b", "N", "ms", [Series("one", points, fit_power(points)), Series("two", points)], logarithmic=True
    )
    root = ElementTree.fromstring(text)
    assert len(root.findall(f"{SVG}circle")) == 4
    assert len([one for one in root.findall(f"{SVG}line") if one.get("stroke-dasharray")]) == 1
    texts = [one.text for one in root.findall(f"{SVG}text")]
    assert {"a < b", "N", "ms", "one ~ N^1.00", "two"} <= set(texts)


def test_a_logarithmic_plot_refuses_what_is_not_above_zero() -> None:
    with pytest.raises(ValueError, match=r"t: a logarithmic axis has no place for \[\(1, -2\)\]"):
        plot("t", "x", "y", [Series("one", [(1, -2), (10, 2)])], logarithmic=True)
    with pytest.raises(ValueError, match="t: there is nothing to draw"):
        plot("t", "x", "y", [Series("one", [])], logarithmic=True)


@pytest.mark.parametrize("values", [(1.0, 1.1), (1.0, 10.0), (3.0, 3000.0)])
def test_a_logarithmic_plot_is_as_high_as_it_is_wide_so_that_what_is_flat_looks_flat(
    values: tuple[float, float],
) -> None:
    x, y = axes_for([*zip((300.0, 3000.0), values, strict=True)], logarithmic=True)
    assert y.high / y.low >= x.high / x.low * (1 - 1e-9)
    assert y.low < min(values) < max(values) < y.high
    assert len(y.ticks()) >= 3


def test_the_notes_of_a_plot_stand_between_its_legend_and_its_points() -> None:
    for count in (1, 2):
        many = [Series(f"series {number}", [(10, 2), (20, 3)]) for number in range(count)]
        root = ElementTree.fromstring(plot("t", "x", "y", many, logarithmic=True, notes=["first", "second"]))
        height = {one.text: float(one.get("y", "")) for one in root.findall(f"{SVG}text")}
        assert height["t"] < height["series 0"] < height["first"] < height["second"] < TOP


@pytest.mark.parametrize(
    ("axis", "ticks"),
    [
        (Axis(80, 1200, 0, 100, True), [100, 200, 500, 1000]),
        (Axis(0, 6500, 0, 100, False), [0, 1000, 2000, 3000, 4000, 5000, 6000]),
        (Axis(0, 0.5, 0, 100, False), [0, 0.1, 0.2, 0.3, 0.4, 0.5]),
    ],
)
def test_an_axis_is_marked_at_round_values(axis: Axis, ticks: list[float]) -> None:
    assert axis.ticks() == pytest.approx(ticks)
    assert axis.place(axis.low) == pytest.approx(axis.start)
    assert axis.place(axis.high) == pytest.approx(axis.end)


def test_hub_is_tables_that_refer_to_the_user_and_36_operations_on_nine_of_them() -> None:
    made = hub(100)
    tables = [model for app, models in made.history.models.items() if app != "core" for model in models]
    assert len(tables) == 100
    assert all("settings.AUTH_USER_MODEL" in table.fields["created_by"] for table in tables)
    (migration,) = made.history.tail
    kinds = [operation.partition("(")[0] for operation in migration.operations]
    assert kinds == ["migrations.RemoveField"] * 27 + ["migrations.AddField"] * 9
    assert made.undo_target == ("a000", "0001_initial")
    assert hub(100, changed=1).history.operation_count == 4


@pytest.mark.parametrize(
    ("made", "models", "migrations", "tail"),
    [
        (deep(6, 40, 200), 41, 201, 1),
        (suite(9, 24, 50), 24, 50, 50),
        (undo(4, 50, 200, 50), 50, 200, 50),
    ],
    ids=["deep", "suite", "undo"],
)
def test_a_long_history_has_the_size_that_was_asked_for(
    made: Workload, models: int, migrations: int, tail: int
) -> None:
    history = made.history
    assert (history.model_count, len(history.migrations), len(history.tail)) == (models, migrations, tail)


def test_a_tenth_of_the_suite_uses_the_orm_and_the_tail_of_undo_is_of_one_app() -> None:
    migrations = suite(9, 24, 50).history.migrations
    assert sum("get_model" in one.code for one in migrations) == 5
    made = undo(4, 50, 200, 50)
    assert {one.app for one in made.history.tail} == {"a000"}
    assert made.undo_target == [one.key for one in made.history.base if one.app == "a000"][-1]


@pytest.mark.parametrize("made", [hub(60), deep(6, 40, 200), undo(4, 50, 200, 50)], ids=["hub", "deep", "undo"])
def test_a_migration_needs_only_what_was_written_before_it(made: Workload) -> None:
    seen = {NEEDS_USER}
    for migration in made.history.migrations:
        assert migration.needs <= seen
        seen.add(migration.key)


def test_the_same_arguments_make_the_same_history() -> None:
    assert deep(6, 40, 200).history.migrations == deep(6, 40, 200).history.migrations


def test_every_size_has_every_workload() -> None:
    for scale in (QUICK, DEFAULT, FULL):
        assert list(scale.workloads) == ["hub", "deep", "suite", "undo"]
        assert {one["changed"] for one in scale.workloads["hub"]} == {1, 9}
    assert [one.name for one in QUICK.make(["undo"])] == ["undo"]
    assert [(one.name, one.size) for one in FULL.make(["hub"], {300})] == [("hub", 300), ("hub", 300)]


def test_ratios_are_taken_within_a_round() -> None:
    one = row(100, 36, stock=10, bare=1)
    one.cells[CHRONOMIG].seconds[7] = 1000  # a round that stock did not run
    assert one.ratio(CHRONOMIG, STOCK) == pytest.approx(0.3)
    assert one.per_operation(CHRONOMIG) == pytest.approx(2 / 36)
    assert one.ratio("fastmig", STOCK) is None


def test_chronomig_is_compared_with_its_own_sql_where_that_was_measured() -> None:
    one = row(100, 36, stock=10, bare=1)
    one.cells[OWN] = Cell({0: 0.5, 1: 0.5})
    assert one.beyond_sql(CHRONOMIG) == pytest.approx(2.5)
    assert one.beyond_sql(STOCK) == pytest.approx(9)


def test_results_of_several_files_are_one_and_the_later_one_counts() -> None:
    first, second = row(100, 36, stock=10, bare=1), row(100, 36, stock=20, bare=1)
    other = row(300, 36, stock=30, bare=1)
    about, rows = together(
        [({"Django": "5.2", "rounds": "1"}, [first, other]), ({"Django": "5.2", "rounds": "3"}, [second])]
    )
    assert about == {"Django": "5.2", "rounds": "1 / 3"}
    assert rows == [second, other]


def test_the_documentation_gets_the_tables_and_the_plots(tmp_path: Path) -> None:
    rows = [row(size, operations, 1 + size * operations / 100, 1) for size in (100, 1000) for operations in (4, 36)]
    page, *plots = write_docs(tmp_path / "docs", {"Django": "5.2"}, rows)
    text = page.read_text()
    assert text.startswith("Django 5.2.\n\n")
    assert "| hub 1000: forward (36 operations) |" in text
    assert [path.name for path in plots] == ["operation-sqlite.svg", "further-sqlite.svg"]
    assert all(f"]({path.name})" in text and path.exists() for path in plots)


def test_a_further_operation_costs_the_difference_of_two_rounds() -> None:
    ((many, few),) = pairs_by_size([row(100, 4, stock=3, bare=1), row(100, 36, stock=10, bare=1.6)])
    assert (many.operations, few.operations) == (36, 4)
    assert many.marginal(few, STOCK) == pytest.approx((8.4 - 2) / 32)
    assert few.marginal(many, STOCK) is None


def test_a_further_operation_in_one_process_costs_the_difference_too() -> None:
    rows = [row(size, operations, 1, 1) for size in (100, 1000) for operations in (4, 36)]
    for one, milliseconds in zip(rows, (5.0, 2.0, 14.0, 3.0), strict=True):
        one.cells[CHRONOMIG].operation_ms = [milliseconds]
    assert rows[1].marginal_ms(rows[0], CHRONOMIG) == pytest.approx((72 - 20) / 32)
    assert rows[0].marginal_ms(rows[1], CHRONOMIG) is None
    found = {cells[1]: cells[3] for line in report(rows).splitlines() if len(cells := line.split("|")) > 3}
    shown = {name.strip(): cell.strip() for name, cell in found.items()}
    assert shown["hub 100: each further operation, CPU in one process"] == "1.62"
    assert shown["hub: CPU of each further operation, growth"] == "~ N^0.00"


def test_results_survive_their_file(tmp_path: Path) -> None:
    rows = [row(100, 36, stock=10, bare=1)]
    save(tmp_path / "results.json", {"Django": "5.2"}, rows)
    assert load(tmp_path / "results.json") == ({"Django": "5.2"}, rows)


def test_the_report_says_what_was_stopped_and_how_costs_grow() -> None:
    rows = [row(size, operations, size * operations / 100, 1) for size in (100, 1000) for operations in (4, 36)]
    rows[-1].cells["fastmig"] = Cell(note="> 60 s")
    rows[0].cells["fastmig"] = Cell(note="failed: ImportError")
    text = report(rows)
    assert "| hub 1000: forward (36 operations) |       360.00 |      3.00 |     1.00 |         > 60 s |" in text
    assert "hub 100: forward (4 operations), django-fastmig: failed: ImportError." in text
    (growth,) = [line for line in text.splitlines() if line.startswith("| hub: each further operation, growth")]
    assert growth.split("|")[2].strip() == "~ N^1.00"


def test_a_table_is_aligned() -> None:
    assert table(["a", "b"], [["long", "1"], ["c", "1000"]]) == (
        "| a    |    b |\n| ---- | ---: |\n| long |    1 |\n| c    | 1000 |"
    )


def test_plots_are_written_where_there_are_two_sizes(tmp_path: Path) -> None:
    rows = [row(size, operations, 1 + size * operations / 100, 1) for size in (100, 1000) for operations in (4, 36)]
    assert [path.name for path in write_plots(tmp_path, rows)] == ["operation-sqlite.svg", "further-sqlite.svg"]
    assert write_plots(tmp_path, rows[:2]) == []


def test_the_cpu_of_an_operation_is_plotted_with_its_growth_and_stands_in_the_page(tmp_path: Path) -> None:
    rows = [row(size, operations, 1, 1) for size in (300, 3000) for operations in (4, 36)]
    for one, milliseconds in zip(rows, (9, 1, 9, 1.25), strict=True):
        one.cells[CHRONOMIG].operation_ms = [milliseconds, milliseconds + 1, milliseconds]
    page, *plots = write_docs(tmp_path, {"Django": "5.2"}, rows)
    assert plots[0].name == "cpu-sqlite.svg"
    assert "![cpu sqlite](cpu-sqlite.svg)" in page.read_text()
    root = ElementTree.parse(plots[0]).getroot()
    assert {one.get("fill") for one in root.findall(f"{SVG}circle")} == {COLOURS[CHRONOMIG]}
    assert {"chronomig ~ N^0.10", "ms of CPU", "0.5", "1", "2"} <= set(texts(plots[0]))


def test_a_contender_with_fewer_than_two_sizes_above_zero_is_named_and_not_drawn(tmp_path: Path) -> None:
    rows = [row(size, 36, took, 1) for size, took in ((300, 0.5), (1000, 2.0), (3000, 4.0))]
    rows += [row(size, 4, 1, 1) for size in (300, 1000, 3000)]
    rows[0].cells["fastmig"] = Cell({0: 3, 1: 3})
    rows[0].cells[CHRONOMIG] = rows[1].cells[CHRONOMIG] = Cell({0: 0.5, 1: 0.5})
    path = next(one for one in write_plots(tmp_path, rows) if one.name == "operation-sqlite.svg")
    assert len(ElementTree.parse(path).getroot().findall(f"{SVG}circle")) == 2
    assert "stock Django ~ N^1.00" in texts(path)
    assert "Not shown, above zero at fewer than two sizes: chronomig, django-fastmig" in texts(path)
    assert "Left out, not above zero: stock Django at 300" in texts(path)


def test_a_plot_of_nothing_but_noise_is_not_written(tmp_path: Path) -> None:
    rows = [row(size, operations, took, 1) for size, took in ((300, 2), (3000, 0.5)) for operations in (4, 36)]
    for one in rows:
        del one.cells[CHRONOMIG]
    assert write_plots(tmp_path, rows) == []
    assert list(tmp_path.iterdir()) == []


def texts(path: Path) -> list[str | None]:
    return [one.text for one in ElementTree.parse(path).getroot().findall(f"{SVG}text")]


def test_each_contender_types_its_own_commands() -> None:
    target = ("island", "zero")
    stock, ours = Contender(STOCK), Contender(CHRONOMIG, project=CHRONOMIG)
    assert as_python(stock.command(Task.BACKWARD, target, "x"))[:2] == ["manage.py", "migrate"]
    assert stock.command(Task.BACKWARD, target, "x")[-2:] == ["island", "zero"]
    assert as_python(ours.command(Task.BACKWARD, target, "x")) == ["-m", "chronomig", "migrate", "-v", "0", "--yes", "--to", "x"]  # fmt: skip
    assert last_line("Traceback\n  line\nImportError: no\n\n") == "ImportError: no"


def test_both_projects_of_a_history_hold_the_same_and_match_their_models(tmp_path: Path) -> None:
    workload = undo(3, 12, 40, 10)
    generated = Generated(tmp_path, workload)
    timeline = read_timeline(
        tmp_path / CHRONOMIG / "project_migrations" / "default", "default", now=datetime.now(UTC)
    )
    names = [name[15:] for name in timeline.names]
    base = [f"{app}_{name}" for app, name in generated.base]
    tail = [f"{app}_{name}" for app, name in (one.key for one in workload.history.tail)]
    assert names == [*base, *tail]
    assert timeline.names[len(base) - 1] == generated.base_name
    assert {"auth_0001_initial", *(f"{app}_0001_initial" for app in workload.history.apps)} <= set(base)
    nowhere = {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}
    for contender in (Contender(STOCK), Contender(CHRONOMIG, project=CHRONOMIG)):
        command = as_python(contender.command(Task.CHECK, workload.undo_target, generated.base_name))
        ran = generated.site(contender).measured(command, nowhere, limit=60)
        assert ran.succeeded, ran.output
        assert ran.peak_mb > 10


def test_a_command_that_takes_too_long_is_stopped(tmp_path: Path) -> None:
    generated = Generated(tmp_path, hub(1))
    site = generated.site(Contender(STOCK))
    ran = site.measured(["-c", "print('began', flush=True); import time; time.sleep(60)"], {}, limit=1)
    assert ran.timed_out
    assert not ran.succeeded
    assert ran.output == "began\n"


def test_an_app_has_no_newest_migration_before_its_first() -> None:
    history = History(["shop"])
    assert history.latest("shop") is None
    history.write("shop", "initial", [])
    assert history.latest("shop") == ("shop", "0001_initial")


def test_adopting_five_times_the_migrations_costs_five_times_as_much_and_fewer_than_twenty_seconds(
    tmp_path: Path,
) -> None:
    few, many = (adopt(tmp_path / str(size), size) for size in (300, 1500))
    assert many.files >= 1500
    assert many.cpu / many.files < 2 * few.cpu / few.files, (str(few), str(many))
    assert many.cpu < 20
    names = [one.name for one in (tmp_path / "1500/project_migrations/default").glob("*.py")]
    assert {name[:4] for name in names} <= {"2019", "2020"}  # the dates of the commits


def test_the_cost_of_an_operation_in_one_process_is_shown_with_its_growth() -> None:
    rows = []
    for size, cost in ((300, 2.0), (3000, 2.0)):
        for operations in (36, 4):
            rows.append(row(size, operations, 5, 1))
            rows[-1].cells[CHRONOMIG].operation_ms = [cost, cost + 1, cost]
            rows[-1].cells[CHRONOMIG].unsent_ms = [cost * 300, cost * size, cost * size]
    told = re.sub(" +", " ", report(rows))
    assert "| hub 300: forward (36 operations), CPU in one process | – | 2.00 |" in told
    assert "hub: CPU of each operation, growth" in told
    assert "~ N^0.00 |" in told.partition("CPU of each operation, growth")[2].splitlines()[0]
    assert "hub 3000: forward (36 operations), no change of the schema sent |" in told
    assert "~ N^1.00 |" in told.partition("no change of the schema sent, growth")[2].splitlines()[0]


def only_operations(size: int, sent: float, unsent: float) -> Row:
    return Row(
        "hub", size, "postgresql", Task.FORWARD, 36, {CHRONOMIG: Cell(operation_ms=[sent], unsent_ms=[unsent])}
    )


def test_operations_alone_are_shown_with_their_growth_and_no_empty_tables(tmp_path: Path) -> None:
    rows = [only_operations(300, 1, 1), only_operations(3000, 10, 1)]
    told = re.sub(" +", " ", report(rows))
    assert "Seconds of the whole process" not in told
    assert "| hub 3000: forward (36 operations), CPU in one process | 10.00 |" in told
    assert "| hub: CPU of each operation, growth | ~ N^1.00 |" in told
    assert "| hub: CPU of each operation, no change of the schema sent, growth | ~ N^0.00 |" in told
    assert [path.name for path in write_plots(tmp_path, rows)] == ["cpu-postgresql.svg"]


def test_operations_alone_add_to_what_was_measured_before() -> None:
    whole = row(300, 36, stock=10, bare=1)
    whole.database = "postgresql"
    whole.cells[CHRONOMIG].operation_ms = [5.0]
    about = {"on": "a day"}
    _, (one,) = together([(about, [whole]), (about, [only_operations(300, 1, 0.5)])])
    assert one.ratio(CHRONOMIG, STOCK) == whole.ratio(CHRONOMIG, STOCK)
    assert (one.operation_ms(CHRONOMIG), one.unsent_ms(CHRONOMIG)) == (1, 0.5)
    _, (one,) = together([(about, [only_operations(300, 1, 0.5)]), (about, [whole])])
    assert one.operation_ms(CHRONOMIG) == 5


@pytest.mark.parametrize("more", [["--only", "deep"], ["--without-stock"], ["--fastmig"]])
def test_what_operations_alone_would_leave_out_is_refused(
    more: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["benchmarks", "--operations", *more])
    with pytest.raises(SystemExit) as ended:
        arguments()
    assert ended.value.code == 2
    assert "without --only, --without-stock and --fastmig" in capsys.readouterr().err
