"""What is done is not done again; what is not ours is not touched."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from colorpipe.batch.journal import NAME, Journal
from colorpipe.errors import OutputError


@pytest.fixture
def pair(tmp_path: Path) -> tuple[Path, Path]:
    source, output = tmp_path / "in.png", tmp_path / "out" / "in.png"
    source.write_bytes(b"source")
    output.parent.mkdir()
    return source, output


def finish(journal: Journal, source: Path, output: Path) -> None:
    journal.begin(source, output)
    output.write_bytes(b"result")
    journal.done(source, output)


def test_a_result_is_done_for_its_source_and_recipe_only(pair: tuple[Path, Path]) -> None:
    source, output = pair
    journal = Journal(output.parent, "recipe")
    assert journal.state(source, output) == "new"
    finish(journal, source, output)
    again = Journal(output.parent, "recipe")
    assert again.state(source, output) == "done"
    assert Journal(output.parent, "another").state(source, output) == "stale"
    source.write_bytes(b"longer source")
    assert again.state(source, output) == "stale"


def test_a_touched_source_with_the_same_bytes_is_still_done(pair: tuple[Path, Path]) -> None:
    source, output = pair
    finish(Journal(output.parent, "recipe"), source, output)
    os.utime(source, ns=(1, 1))
    assert Journal(output.parent, "recipe").state(source, output) == "done"


def test_a_truncated_result_is_made_again(pair: tuple[Path, Path]) -> None:
    source, output = pair
    finish(Journal(output.parent, "recipe"), source, output)
    output.write_bytes(b"res")
    assert Journal(output.parent, "recipe").state(source, output) == "stale"


def test_a_kill_between_rename_and_record_leaves_a_result_that_is_ours(pair: tuple[Path, Path]) -> None:
    source, output = pair
    Journal(output.parent, "recipe").begin(source, output)
    output.write_bytes(b"result")
    assert Journal(output.parent, "recipe").state(source, output) == "stale"


def test_a_strangers_file_is_foreign(pair: tuple[Path, Path]) -> None:
    source, output = pair
    output.write_bytes(b"not ours")
    assert Journal(output.parent, "recipe").state(source, output) == "foreign"


def test_a_half_written_last_line_is_survived(pair: tuple[Path, Path]) -> None:
    source, output = pair
    finish(Journal(output.parent, "recipe"), source, output)
    with (output.parent / NAME).open("a") as file:
        file.write('{"event": "done", "outp')
    assert Journal(output.parent, "recipe").state(source, output) == "done"


def test_a_journal_that_is_no_text_is_named(pair: tuple[Path, Path]) -> None:
    (pair[1].parent / NAME).write_bytes(b"\xff\xfe\x00")
    with pytest.raises(OutputError, match=NAME):
        Journal(pair[1].parent, "recipe")


def test_what_another_run_did_is_seen(pair: tuple[Path, Path]) -> None:
    source, output = pair
    mine, other = Journal(output.parent, "recipe"), Journal(output.parent, "recipe")
    finish(other, source, output)
    assert mine.state(source, output) == "done"
    other.begin(source, output)
    assert mine.state(source, output) == "stale"


def test_a_line_after_a_torn_one_is_not_lost(pair: tuple[Path, Path]) -> None:
    source, output = pair
    (output.parent / NAME).write_text('{"event": "done", "outp')
    finish(Journal(output.parent, "recipe"), source, output)
    assert Journal(output.parent, "recipe").state(source, output) == "done"


def test_a_name_that_is_no_unicode_is_recorded(pair: tuple[Path, Path]) -> None:
    source, output = pair
    odd = output.with_name(os.fsdecode(b"caf\xe9.png"))
    try:
        finish(Journal(output.parent, "recipe"), source, odd)
    except OSError as error:
        pytest.skip(f"this file system has no such names: {error}")
    assert Journal(output.parent, "recipe").state(source, odd) == "done"


def test_lines_of_many_processes_do_not_mix(tmp_path: Path) -> None:
    script = """
import sys
from pathlib import Path
from colorpipe.batch.journal import Journal
folder = Path(sys.argv[1])
journal = Journal(folder, "recipe")
for number in range(200):
    journal.begin(Path("source" * 30), folder / f"{sys.argv[2]}-{number}.png")
"""
    command = [sys.executable, "-c", script, str(tmp_path)]
    runs = [subprocess.Popen([*command, name], cwd=Path(__file__).parents[1]) for name in "abcd"]
    assert [process.wait(60) for process in runs] == [0] * 4
    lines = [line for line in (tmp_path / NAME).read_text().splitlines() if line]
    assert {json.loads(line)["output"] for line in lines} == {f"{run}-{n}.png" for run in "abcd" for n in range(200)}
    assert len(lines) == 800


def test_a_picture_in_a_result_s_place_is_touched_and_a_ruin_is_not(pair: tuple[Path, Path]) -> None:
    source, output = pair
    finish(Journal(output.parent, "recipe"), source, output)
    for data, state in ((b"\x89PNG\r\n\x1a\nof somebody", "touched"), (b"", "stale"), (b"\x00" * 40, "stale")):
        output.write_bytes(data)
        assert Journal(output.parent, "recipe").state(source, output) == state
