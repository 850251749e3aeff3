"""``--preview``: seconds spread over a film, found by seeking; the film itself stays to be made."""

from __future__ import annotations

import json
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from colorpipe import media
from colorpipe.batch.journal import NAME
from colorpipe.batch.request import RunRequest
from colorpipe.batch.runner import run
from colorpipe.errors import UsageError
from colorpipe.media import inputs
from colorpipe.media.video.preview import Preview
from colorpipe.media.video.source import VideoSource
from colorpipe.settings import MediaOptions
from colorpipe.types import Frame, Outcome, Recipe, Stage
from tests.conftest import Cli
from tests.helpers import Painter, host_with, write_grey
from tests.test_video import frames_of, make_clip, packets_of

RECIPE = Recipe(Stage("painter"), settings={"preset": "ultrafast", "temporal": "none"})
RATE = Fraction(1, 25)


def previewed(path: Path, seconds: float) -> tuple[VideoSource, list[Frame]]:
    with media.open_source(path, MediaOptions(), seconds) as film:
        assert isinstance(film, Preview)
        return film, list(film)


def numbers(part: Sequence[Frame], whole: Sequence[Frame]) -> list[int]:
    """Which frames of the whole those of a part are, by their pixels."""
    known = {frame.luma.tobytes(): number for number, frame in enumerate(whole)}
    return [known[frame.luma.tobytes()] for frame in part]


def unbroken(frames: Sequence[Frame]) -> bool:
    """Whether each frame comes when the one before it ends, from zero on."""
    ends = [Fraction(0), *(frame.pts + frame.metadata.extra["duration"] for frame in frames)]
    return [frame.pts for frame in frames] == ends[:-1]


def live(path: Path) -> Path:
    """A Matroska file without length or index, as a recorder that was cut off leaves it."""
    clip = make_clip(path.with_name("clip.mkv"), codec="libx264", options={"g": "60"}, ticks=range(0, 12_000, 40))
    with (
        av.open(str(clip)) as film,
        av.open(str(path), "w", format="matroska", container_options={"live": "1"}) as output,
    ):
        stream = output.add_stream_from_template(film.streams.video[0])
        for packet in film.demux(film.streams.video[0]):
            if packet.size:
                packet.stream = stream
                output.mux(packet)
    return path


@pytest.mark.parametrize(
    ("name", "codec", "options", "first"),
    [
        ("long-gop.mp4", "libx264", {"g": "1000"}, 0),
        ("late.mp4", "libx264", {"g": "50"}, 1000),
        ("open-gop.mkv", "libx264", {"x264-params": "open-gop=1:keyint=40"}, 0),
        ("vob.mpg", "mpeg1video", {"g": "15", "bf": "2"}, 0),
        ("broadcast.ts", "libx264", {"g": "100"}, 0),
        ("old.avi", "mpeg4", {"g": "50", "bf": "2"}, 0),
        ("camera.avi", "mjpeg", {}, 0),
    ],
)
def test_pieces_are_the_films_frames_evenly_spread(
    tmp_path: Path, name: str, codec: str, options: dict[str, str], first: int
) -> None:
    pixels = "yuvj420p" if codec == "mjpeg" else "yuv420p"
    muxer = "mpeg" if name.endswith(".mpg") else "mpegts" if name.endswith(".ts") else None
    path = make_clip(
        tmp_path / name,
        codec=codec,
        pixels=pixels,
        options=options,
        muxer=muxer,
        ticks=range(first, first + 300),
        time_base=RATE,
    )
    film, part = previewed(path, 3)
    places = numbers(part, frames_of(path)[1])
    assert len(places) == film.info.frames == 75
    pieces = np.reshape(places, (3, 25))
    assert (np.diff(pieces, axis=1) == 1).all()
    assert np.abs(pieces[:, 0] - (38, 138, 238)).max() <= 2  # each in the middle of its third
    assert unbroken(part)
    assert {frame.metadata.extra["duration"] for frame in part} == {RATE}
    assert [n for n, frame in enumerate(part) if frame.metadata.extra["cut"]] == [0, 25, 50]
    assert np.abs(np.subtract([frame.index for frame in part], places)).max() <= 1
    assert film.info.notes[-1] == "a preview: 3 pieces of 1 s of 0:00:12, without sound, subtitles and chapters"


def test_only_what_is_near_the_pieces_is_decoded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = make_clip(tmp_path / "film.mp4", codec="libx264", options={"g": "50"}, ticks=range(800), time_base=RATE)
    decoded = 0
    decode = VideoSource._decode

    def counting(source: VideoSource):  # type: ignore[no-untyped-def]
        nonlocal decoded
        for image in decode(source):
            decoded += 1
            yield image

    monkeypatch.setattr(VideoSource, "_decode", counting)
    assert len(previewed(path, 3)[1]) == 75
    assert decoded < 75 + 3 * 50 + 5


def test_a_recording_without_a_length_is_spread_too(tmp_path: Path) -> None:
    path = live(tmp_path / "live.mkv")
    part = previewed(path, 2)[1]
    assert numbers(part, frames_of(path)[1]) == [*range(62, 87), *range(211, 236)]
    assert unbroken(part)


def test_without_times_to_seek_by_it_is_the_beginning(tmp_path: Path) -> None:
    path = make_clip(tmp_path / "film.m1v", codec="mpeg1video", muxer="mpeg1video", ticks=range(100), time_base=RATE)
    film, part = previewed(path, 2)
    assert numbers(part, frames_of(path)[1])[:40] == list(range(40))
    assert "the first 2 s, since the file has no times to seek by" in film.info.notes[-1]


@pytest.mark.parametrize(
    ("seconds", "places"),
    [(0.2, range(22, 27)), (1.6, [*range(2, 22), *range(27, 47)]), (2, range(50)), (9, range(50))],
)
def test_short_ones(tmp_path: Path, seconds: float, places: Sequence[int]) -> None:
    """Less than a second is one piece; a film that is as short as the preview is given whole."""
    path = make_clip(tmp_path / "film.mkv", ticks=range(0, 2000, 40))
    film, part = previewed(path, seconds)
    assert numbers(part, frames_of(path)[1]) == list(places)
    assert unbroken(part)
    assert ("the whole film" in film.info.notes[-1]) == (seconds >= 2)


def test_a_slide_show_gives_what_is_on_screen(tmp_path: Path) -> None:
    path = make_clip(tmp_path / "film.mp4", codec="libx264", ticks=[0, 10_000, 10_300, 25_000, 39_000, 40_000])
    part = previewed(path, 4)[1]  # seconds 4.5, 14.5, 24.5 and 34.5
    assert numbers(part, frames_of(path)[1]) == [0, 2, 3]
    assert unbroken(part)
    assert [frame.pts for frame in part] == [0, 1, 2]


def moving(path: Path, frames: int = 150) -> Path:
    """A camera that goes over a smooth picture, without a cut; with sound."""
    cells = np.random.default_rng(3).random((10, 24)).astype(np.float32)
    picture = (255 * np.clip(cv2.resize(cells, (400, 120), interpolation=cv2.INTER_CUBIC), 0, 1)).astype(np.uint8)
    with av.open(str(path), "w") as film:
        stream = film.add_stream("libx264", rate=25, width=96, height=64)
        sound = film.add_stream("aac", rate=48_000)
        for number in range(frames):
            x = number
            image = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture[20:84, x : x + 96]), format="gray")
            film.mux(stream.encode(image.reformat(format="yuv420p")))
        film.mux(stream.encode(None))
        samples = av.AudioFrame.from_ndarray(np.zeros((1, 48_000), np.float32), format="fltp", layout="mono")
        samples.sample_rate, samples.pts = 48_000, 0
        film.mux(sound.encode(av.AudioResampler(sound.format, sound.layout, 48_000).resample(samples)[0]))
        film.mux(sound.encode(None))
    return path


def colorize(source: Path, output: Path, recipe: Recipe = RECIPE, **more: object) -> list[Outcome]:
    return run(RunRequest([source], recipe, output, **more), host_with(Painter))  # type: ignore[arg-type]


def test_a_preview_is_not_taken_for_the_film(tmp_path: Path) -> None:
    source, output = tmp_path / "in", tmp_path / "out"
    source.mkdir()
    moving(source / "film.mp4")
    write_grey(source / "photo.png")
    steady = Recipe(Stage("painter"), settings={"preset": "ultrafast"})
    film, photo = colorize(source, output, steady, preview=3)
    assert (film.status, film.output, film.frames) == ("done", output / "film.preview.mp4", 75)
    assert film.shots == 3  # the camera never stops, but each piece has a colour of its own
    assert film.notes[-1].startswith("a preview: 3 pieces of 1 s of 0:00:06, without sound")
    assert (photo.status, photo.output) == ("done", output / "photo.png")
    with av.open(str(film.output)) as result:
        assert [stream.type for stream in result.streams] == ["video"]
    part = frames_of(output / "film.preview.mp4")[1]
    assert [frame.pts for frame in part] == [number * RATE for number in range(75)]
    assert np.ptp(part[30].colour[0]) > 5

    preview = (output / "film.preview.mp4").read_bytes()
    film, photo = colorize(source, output, steady)
    assert (film.status, film.output, film.frames) == ("done", output / "film.mp4", 150)
    assert photo.status == "skipped"
    assert packets_of(output / "film.mp4", "audio")
    assert (output / "film.preview.mp4").read_bytes() == preview
    assert [outcome.status for outcome in colorize(source, output, steady)] == ["skipped", "skipped"]
    assert {path.name for path in output.iterdir()} == {"film.mp4", "film.preview.mp4", "photo.png", NAME}


def test_a_preview_that_exists(tmp_path: Path) -> None:
    source, output = make_clip(tmp_path / "film.mkv", ticks=range(0, 1200, 40)), tmp_path / "out"
    result = output / "film.preview.mkv"
    told = [colorize(source, output, preview=seconds)[0].status for seconds in (0.4, 0.4, 0.8)]
    assert told == ["done", "skipped", "done"]
    assert len(frames_of(result)[1]) == 20
    (output / NAME).unlink()
    result.write_bytes(b"mine")
    (outcome,) = colorize(source, output, preview=0.4)
    assert "exists and was not made by colorpipe" in (outcome.error or "")
    assert result.read_bytes() == b"mine"
    (outcome,) = colorize(source, output, preview=0.4, overwrite=True)
    assert outcome.status == "done"


def test_a_preview_never_replaces_a_source(tmp_path: Path) -> None:
    source = make_clip(tmp_path / "film.preview.mkv")
    with pytest.raises(UsageError, match="would replace the source"):
        colorize(source, tmp_path / "film.mkv", preview=1)


def test_names() -> None:
    found = [inputs.Found(Path(name), Path(name)) for name in ("a.mp4", "b.tif", "c.mpg")]
    jobs = inputs.plan(found, Path("out"), preview=5)
    assert [job.output.name for job in jobs] == ["a.preview.mp4", "b.tif", "c.preview.mkv"]
    assert [job.preview for job in jobs] == [5, None, 5]
    (job,) = inputs.plan([inputs.Found(Path("clip"), Path("clip"))], Path("new.mov"), preview=5)
    assert job.output == Path("new.preview.mov")


def test_the_command_line(cli: Cli, tint: Path, workplace: Path) -> None:
    clip = make_clip(workplace / "film.mkv", ticks=range(0, 4000, 40))
    words = ["run", clip, "--plugin", tint, "--colorizer", "tint", "-o", "new.mkv", "--json", "-"]
    status, told, _ = cli(*words, "--preview", "2")
    assert status == 0
    row = json.loads(told)
    assert (row["output"], row["frames"]) == ("new.preview.mkv", 50)
    assert "2 pieces of 1 s of 0:00:04" in row["notes"][-1]
    assert not (workplace / "new.mkv").exists()
    for wrong in ("0", "-1", "nan", "inf"):
        status, _, said = cli(*words, "--preview", wrong)
        assert status == 2
        assert "--preview takes a number of seconds above 0" in said
