"""What notebooks show: pictures tell the truth, texts do not change, explorers move at both ends and close for good."""

import base64
import io
import itertools
import re
from pathlib import Path

import ipywidgets
import numpy as np
import pytest
import torch
from einops import rearrange
from IPython.core.interactiveshell import InteractiveShell
from PIL import Image

import sorakit as sk
from sorakit.latent.autoencoder import Autoencoder
from sorakit.types import Brief, Conditioning, Element, Latents, Reason, Verdict, Video
from sorakit.views import atlas, attach, charts, displays, explorers, pictures, register
from sorakit.views.attention import Attention, attention, patch_at, patch_looks, patch_words, time_matrices, word_maps
from sorakit.views.sheet import WIDTH, Layout, diverging, rising, sheet

ROOT = Path(__file__).parents[1]
ASK = {"seconds": 0.5, "steps": 4, "seed": 3}
VIEWS = sorted((ROOT / "sorakit/views").glob("*.py"))


@pytest.fixture(scope="module")
def pipe(tiny_weights):
    return sk.load(tiny_weights, "cpu")


@pytest.fixture(scope="module")
def run(pipe):
    return pipe.trace("a red car on a highway", keep="blocks.*.attention", **ASK)


@pytest.fixture(scope="module")
def shell():
    shell = InteractiveShell.instance()
    register(shell)
    yield shell
    InteractiveShell.clear_instance()


def opened(png: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB"))


# --- pictures ---------------------------------------------------------------------------------------


def test_the_preview_is_the_straight_lines_film_with_fewer_pixels():
    torch.manual_seed(0)
    eyes = Autoencoder(channels=8, width=8).eval().requires_grad_(False)              # its decoder still adds nothing
    eyes.mean.normal_(), eyes.std.uniform_(0.5, 2)
    latents = torch.randn(1, 8, 3, 2, 4)
    film = eyes.decode(latents)[0]
    film = torch.cat([film[:, :1] * 0, film], 1)                                      # what came before the first
    pairs = rearrange(film, "c (k t) h w -> k t h w c", t=2)[1:].mean(1)              # two frames a latent
    for detail in (1, 4, 16):
        size = 16 // detail
        means = rearrange(pairs, "k (y a) (x b) c -> k y x c (a b)", a=size, b=size).mean(-1)
        shown = pictures.preview(latents, eyes, detail)[1:]
        assert np.abs(shown - ((means.clamp(-1, 1) + 1) * 127.5).numpy()).max() <= 0.51
    with pytest.raises(ValueError, match="detail=3 is not one of 1, 2, 4"):
        pictures.preview(latents, eyes, 3)


def test_no_other_linear_preview_has_less_squared_error():
    torch.manual_seed(1)
    eyes = Autoencoder(channels=8, width=8).eval().requires_grad_(False)
    frames = torch.rand(2, 3, 1, 16 * 8, 16 * 16).cumsum(3).remainder(2.0) - 1
    eyes.start_from_principal_components(frames)
    latents = eyes.encode(frames)
    means = rearrange(frames, "b c 1 (y a) (x d) -> (b y x) c (a d)", a=16, d=16).mean(-1)
    points = rearrange(latents, "b c 1 y x -> (b y x) c")
    points = torch.cat([points, torch.ones(len(points), 1)], 1)
    best = points @ torch.linalg.lstsq(points, means).solution
    shown = torch.cat([torch.from_numpy(pictures.preview(latents[k:k + 1], eyes, 1)).flatten(0, 2) for k in (0, 1)])
    assert (shown - (best.clamp(-1, 1) + 1) * 127.5).abs().max() < 1.0


def test_components_give_like_patches_like_colours():
    torch.manual_seed(0)
    kinds = torch.randn(3, 8)
    where = torch.randint(3, (2, 4, 6))
    latents = rearrange(kinds[where], "t h w c -> 1 c t h w")
    shown = pictures.components(latents)
    assert np.array_equal(shown, pictures.components(latents.clone()))
    colours = [np.unique(shown[where.numpy() == k], axis=0) for k in range(3)]
    assert all(np.ptp(c, axis=0).max() <= 1 for c in colours)
    assert all(np.abs(a[0].astype(int) - b[0]).max() > 40 for a, b in itertools.combinations(colours, 2))
    one = pictures.components(latents[:, :1])
    assert one.shape == (2, 4, 6, 3)


def test_colours_of_values_go_the_right_way():
    assert diverging(np.array([-9.0, 0.0, 9.0])).tolist() == [[33, 102, 172], [255, 255, 255], [178, 24, 43]]
    grey = rising(np.linspace(0, 1, 50)).astype(float) @ [0.299, 0.587, 0.114]
    assert (np.diff(grey) > 0).all()                                                  # also in a black and white print


def test_pictures_are_as_wide_as_the_others(run, pipe):
    eyes = pipe.autoencoder
    for picture in (pictures.denoising(run.steps, eyes), pictures.denoising(run.steps, eyes, whole=False),
                    pictures.denoising(run.steps), pictures.guidance(run.steps, eyes), pictures.channels(run.latents),
                    pictures.latent_sheet(run.latents, eyes), pictures.step_sheet(run.steps[1], eyes),
                    pictures.reconstruction(Video(run.video.frames[:, 100:190, 100:260], 8.0), eyes),
                    pictures.reconstruction(run.frames, eyes),
                    pictures.interpolation(run.latents, Latents(run.steps[0].x), eyes),
                    word_maps(attention(run, "blocks.0.word")), time_matrices([attention(run, "blocks.1.time")])):
        assert picture.width == WIDTH and picture.height > 100
    assert charts.schedule_chart(8).bbox.width == WIDTH


def test_guidance_1_has_no_split(pipe, run):
    plain = pipe.trace("a red car on a highway", **ASK | {"guidance": 1.0})
    with pytest.raises(ValueError, match="guidance was 1"):
        pictures.guidance(plain.steps)
    assert "guidance" not in explorers.explore_run(plain).parts


def test_mixing_is_a_straight_line(run):
    a, b = run.latents, Latents(run.steps[0].x)
    assert torch.allclose(pictures.mixed(a, b, 0.25).values, 0.75 * a.values + 0.25 * b.values)
    with pytest.raises(ValueError, match="cannot be mixed"):
        pictures.mixed(a, Latents(b.values[:, :, :1]), 0.5)


# --- charts -----------------------------------------------------------------------------------------


def test_signal_to_noise_in_closed_form():
    assert charts.snr(0.5) == 0
    assert charts.snr(1 / 11) == pytest.approx(20) and charts.snr(10 / 11) == pytest.approx(-20)


def test_the_plane_of_points_in_a_plane_keeps_their_distances():
    torch.manual_seed(0)
    flat = torch.randn(7, 2) * torch.tensor([5.0, 1.0])
    points = flat @ torch.linalg.qr(torch.randn(300, 2)).Q.T + 3.0
    place = torch.from_numpy(charts.plane(points))
    assert torch.allclose(torch.cdist(place, place), torch.cdist(flat, flat), atol=1e-2)
    assert place[:, 0].var() > place[:, 1].var()
    assert charts.plane(points[:1]).shape == (1, 2)


def test_trajectories_refuse_films_of_different_shapes(pipe, run):
    other = pipe.trace("a red car", **ASK | {"seconds": 1.0})
    assert "2 films" in repr(charts.trajectories({"a": run, "b": run.steps}))
    with pytest.raises(ValueError, match="same seconds"):
        charts.trajectories([run, other])


def test_charts_leave_matplotlib_as_they_found_it(run):
    import matplotlib

    before = dict(matplotlib.rcParams)
    charts.guidance_chart(run.steps).png()
    assert dict(matplotlib.rcParams) == before
    assert not [path.name for path in VIEWS if "pyplot" in path.read_text()]


# --- attention --------------------------------------------------------------------------------------


def pointing(kind: str, t=3, h=2, w=4) -> tuple[Attention, torch.Tensor]:
    """Attention of which head 0 looks from each patch at the next one only, and head 1 everywhere."""
    frames, n = (t, h * w) if kind == "space" else (1, t * h * w)
    next_ = torch.eye(n).roll(1, 1).expand(frames, n, n)
    return Attention(f"blocks.0.{kind}", torch.stack([next_, torch.full_like(next_, 1 / n)], 1), (t, h, w))


def test_a_patch_looks_where_its_weights_say():
    seen = pointing("time").from_patch(0, 1, 3, head=0)
    assert seen[1, 0, 0] == 1 and seen.sum() == 1                                     # the first one of the next frame
    assert pointing("time").from_patch(0, 0, 0, head=1) == pytest.approx(1 / 24)
    seen = pointing("space").from_patch(2, 0, 1, head=0)
    assert seen[2, 0, 2] == 1 and seen.sum() == 1
    both = pointing("time").from_patch(0, 1, 3)
    assert both[1, 0, 0] == pytest.approx(0.5 + 0.5 / 24) and both.sum() == pytest.approx(1)
    with pytest.raises(ValueError, match="head=2 is not there; blocks.0.time has heads 0 to 1"):
        pointing("time").from_patch(0, 0, 0, head=2)
    with pytest.raises(ValueError, match=r"patch \(3, 0, 0\) is not there"):
        pointing("time").from_patch(3, 0, 0)


def test_frames_look_at_frames():
    matrix = pointing("time").between_frames(head=0)                                  # 7 of 8 patches stay in the frame
    assert matrix == pytest.approx(np.eye(3) * 7 / 8 + np.roll(np.eye(3), 1, 1) / 8)
    assert pointing("time").between_frames(head=1) == pytest.approx(1 / 3)
    assert np.array_equal(pointing("space").between_frames(), np.eye(3))


def test_words_of_the_prompt_only(run):
    look = attention(run, "blocks.0.word", step=2)
    assert look.words[:6] == ("[summary]", "a", "red", "car", "on", "a")
    shares = patch_words(look, 0, 0, 0)
    assert list(shares)[:3] == ["0 [summary]", "1 a", "2 red"] and sum(shares.values()) == pytest.approx(1, abs=0.02)
    maps = look.to_words()
    assert maps.shape == (len(look.words), *look.shape)
    assert maps[3, 2, 4, 8] == pytest.approx(float(run.steps[2].attention["blocks.0.word"][0, :, -1, 3].float().mean()))
    with pytest.raises(ValueError, match="looks at words, not at patches"):
        look.from_patch(0, 0, 0)
    with pytest.raises(ValueError, match=r"'blocks.9.time' was not kept .*keep='blocks.9.time.attention'"):
        attention(run, "blocks.9.time")
    with pytest.raises(ValueError, match="step=4 is not there"):
        attention(run, "blocks.0.word", 4)


@pytest.mark.parametrize("shape", [(3, 5, 9), (1, 5, 9), (9, 9, 5), (21, 7, 7)])
def test_each_patch_is_found_where_it_is_drawn(shape):
    t, h, w = shape
    n = t * h * w
    look = Attention("blocks.1.time", torch.full((1, 1, n, n), 1 / n), shape)
    picture = np.asarray(patch_looks(look, t - 1, h - 1, 0))
    outlined = np.argwhere((picture == (64, 224, 255)).all(-1)).mean(0)
    assert patch_at(look, outlined[1], outlined[0]) == (t - 1, h - 1, 0)
    found = {patch_at(look, x, y) for x in range(0, WIDTH, 16) for y in range(0, picture.shape[0], 16)}
    assert found - {None} == set(itertools.product(range(t), range(h), range(w)))
    assert patch_at(look, 0, 0) is None                                               # that is a title


def test_attention_shows_itself(run, shell):
    for name in run.steps[0].attention:
        look = attention(run, name)
        data, _ = shell.display_formatter.format(look)
        assert opened(base64.b64decode(data["image/png"])).shape[1] == WIDTH
        assert data["text/plain"] == f"Attention({name}: 2 heads, 3 x 5 x 9 patches)"
    with pytest.raises(ValueError, match="does not fit 3 x 5 x 9 patches"):
        Attention("blocks.0.time", torch.ones(1, 1, 4, 4), (3, 5, 9))


# --- displays ---------------------------------------------------------------------------------------


def test_every_value_shows_itself_with_a_text_that_does_not_change(pipe, run, shell):
    again = pipe.trace("a red car on a highway", keep="blocks.*.attention", **ASK)
    for name, value in {"Brief": lambda r: r.brief, "Verdict": lambda r: r.verdict, "Run": lambda r: r,
                        "Conditioning": lambda r: r.conditioning, "Latents": lambda r: r.latents,
                        "Step": lambda r: r.steps[1], "Record": lambda r: r.records["diffusion"],
                        "Difference": lambda r: r.diff(r.replay(at=1, edit=lambda x: x.flip(-1))),
                        "Transformer": lambda r: r.pipeline.transformer, "Chart": lambda r: charts.stages(r),
                        "Autoencoder": lambda r: r.pipeline.autoencoder, "Pipeline": lambda r: r.pipeline,
                        "Image": lambda r: pictures.channels(r.latents)}.items():
        data, _ = shell.display_formatter.format(value(run))
        text = data["text/plain"]
        assert text == shell.display_formatter.format(value(again))[0]["text/plain"], name
        assert "0x" not in text and len(text) < 2000, name
        assert {"image/png", "text/html"} & set(data), name


def test_a_brief_is_highlighted_by_role():
    brief = Brief("fog & a <b> night", elements=(
        Element("weather", "fog", (0, 3), 0.9), Element("time", "night", (12, 17), 1.0),
        Element("mood", "a <b> night", (6, 17), 0.5)))
    shown = displays.show_brief(brief)["text/html"]
    assert re.findall(r"<mark[^>]*>([^<]*)<span[^>]*>(\w+)</span>", shown) == [("fog", "weather"),
                                                                              ("a &lt;b&gt; night", "mood")]
    assert "<b>" not in shown and "&amp;" in shown
    everything = displays.highlighted("abc", [(0, 1, "x", ""), (1, 3, "y", ""), (2, 9, "z", "")])
    assert re.sub("<[^>]*>", "", everything) == "axbcy"


def test_a_reference_shows_its_palette_depth_and_horizon():
    from sorakit.prompt import image
    from sorakit.world.render import render
    from sorakit.world.scene import Scene

    found = image.look(render(Scene((), "beach", seed=1), 96, 170, seconds=0).frames[0])
    shown = displays.show_reference(found)
    assert shown["text/plain"] == str(found)
    picture = np.asarray(Image.open(io.BytesIO(base64.b64decode(shown["image/png"]))))
    assert tuple(picture[0, 0]) == found.palette[0].rgb                              # the most of it comes first
    assert tuple(picture[40 + round(180 * found.horizon), 5]) == (230, 60, 60)


def test_what_a_tool_made_is_shown_as_a_film(monkeypatch):
    from sorakit.tools.shot import Take

    shown = []
    monkeypatch.setattr("IPython.display.display", lambda data, raw: shown.append(data))
    displays.show_take(Take(Video(np.zeros((3, 80, 144, 3), np.uint8), 8.0), "loop", {}, notes=("sound was dropped",)))
    assert "Take(loop" in shown[0]["text/plain"] and "sound was dropped" in shown[0]["text/html"]
    assert "image/png" in shown[1]


def test_a_verdict_says_on_which_words():
    verdict = Verdict("refuse", Brief("A Celebrity runs"), (Reason("people", ("celebrity",)),))
    shown = displays.show_verdict(verdict)
    assert "Celebrity<span" in shown["text/html"] and "people (celebrity)" in shown["text/plain"]


def test_a_film_of_a_stand_in_says_so_wherever_it_is_shown(pipe, monkeypatch):
    video = pipe("a lorry on a highway", seconds=0.25, steps=1)
    note = "'lorry' is not drawn; nearest car"
    assert any(said.startswith(note) for said in video.notes) and video[:0.1].notes == video.notes
    shown = []
    monkeypatch.setattr("IPython.display.display", lambda data, **options: shown.append(data))
    displays.show_video(video)
    assert all(note in data["text/plain"] for data in shown)
    assert "&#x27;lorry&#x27; is not drawn" in shown[0]["text/html"]
    assert not pipe("a red car on a highway", seconds=0.25, steps=1).notes


def test_what_was_changed_in_a_prompt_is_said_first():
    verdict = Verdict("alter", Brief("a man runs", notes=("a note",)), changes=(("Somebody Famous", "a man"),))
    assert verdict.notes == ("'Somebody Famous' was changed to 'a man'", "a note")
    assert "Somebody Famous" in displays.show_verdict(verdict)["text/html"]


def test_a_run_without_its_pipeline_shows_itself_too(run, tmp_path):
    alone = type(run).load(run.save(tmp_path / "film.run"))
    assert displays.show_run(alone)["image/png"] and len(explorers.explore_run(alone).parts) == 6


def test_conditioning_of_long_and_of_empty_prompts_is_shown():
    for n in (1, 49):
        conditioning = Conditioning(torch.randn(1, n, 8), torch.ones(1, n, dtype=torch.bool), torch.randn(1, 1, 8),
                                    torch.ones(1, 1, dtype=torch.bool), tuple(f"w{k}" for k in range(60)))
        assert displays.show_conditioning(conditioning)["image/png"]


# --- explorers --------------------------------------------------------------------------------------


def ends(control) -> list:
    """The least, the middle and the greatest value of a control."""
    if isinstance(control, ipywidgets.Dropdown):
        values = [option[1] if isinstance(option, tuple) else option for option in control.options]
        return [values[0], values[len(values) // 2], values[-1]]
    if isinstance(control, ipywidgets.Checkbox):
        return [False, True, True]
    middle = control.min + (control.max - control.min) / 2
    return [control.min, type(control.value)(middle), control.max]


def every(run, pipe):
    film = explorers.explore_video(run.video)
    assert explorers.explore_step(run.steps[2])["attention"].controls["step"].layout.display == "none"
    return {**explorers.explore_run(run).parts, "video": film, "sampler": pipe.sampler.explore(),
            "mixed": explorers.explore_latents(run.latents, pipe.autoencoder, Latents(run.steps[0].x)),
            **{f"step {name}": part for name, part in explorers.explore_step(run.steps[2]).parts.items()},
            "look": attention(run, "blocks.1.time").explore()}


def test_explorers_draw_at_their_least_middle_and_greatest_values(run, pipe):
    attach()
    for name, explorer in every(run, pipe).items():
        for place in range(3):
            values = {key: ends(control)[place] for key, control in explorer.controls.items()}
            explorer.set(**values)
            assert explorer.values == values and opened(explorer.picture.png).shape[1] == WIDTH, (name, values)
        for key, control in explorer.controls.items():                                # every block, view and head
            for _, value in getattr(control, "_options_full", ()):
                explorer.set(**{key: value})
                assert opened(explorer.picture.png).shape[1] == WIDTH, (name, key, value)
        assert np.array_equal(opened(explorer.picture.png), opened(explorers.png(explorer.draw(**explorer.values))))


def test_moving_a_control_changes_the_picture(run):
    explorer = explorers.explore_run(run)["denoising"]
    before = explorer.picture.png
    explorer.controls["step"].value = 3
    after = explorer.picture.png
    explorer.controls["step"].value = 0
    assert after != before == explorer.picture.png
    latents = explorers.explore_latents(run.latents)
    assert latents.controls["channel"].disabled
    latents.controls["view"].value = "channel"
    assert not latents.controls["channel"].disabled


def test_a_click_chooses_the_patch_under_it(run):
    explorer = explorers.explore_run(run)["attention"]
    for name in ("blocks.1.time", "blocks.0.word"):
        explorer.set(name=name, frame=0, y=0, x=0)
        look = attention(run, name, explorer.values["step"])
        height, width = opened(explorer.picture.png).shape[:2]
        x, y = next((x, y) for x in range(width) for y in range(height) if patch_at(look, x, y) == (2, 3, 7))
        explorer.picture.spot = [(x + 2) / width, (y + 2) / height]
        assert [explorer.values[key] for key in ("frame", "y", "x")] == [2, 3, 7]
        explorer.picture.spot = [0.0, 0.0]                                            # a title: nothing moves
        assert explorer.values["frame"] == 2


def test_what_goes_wrong_is_raised_and_shown():
    def draw(k):
        if k == 2:
            raise ValueError("k <2> is wrong")
        return Image.new("RGB", (8, 8))

    explorer = explorers.Explorer(draw, {"k": explorers.slider("k", 3)})
    with pytest.raises(ValueError, match="is wrong"):
        explorer.controls["k"].value = 2
    assert "ValueError: k &lt;2&gt; is wrong" in explorer.trouble.value
    explorer.controls["k"].value = 1
    assert not explorer.trouble.value


def test_a_closed_explorer_leaves_nothing(run, pipe):
    attach()
    alive = ipywidgets.widgets.widget._instances
    before = set(alive)
    for value in (run, run.latents, run.video, run.steps[0], pipe.sampler):
        view = value.explore()
        assert set(alive) > before and view._repr_mimebundle_()["application/vnd.jupyter.widget-view+json"]
        view.close()
        assert set(alive) == before


def test_sheets_keep_places_empty_and_hits_say_where():
    tile = np.full((10, 20, 3), 7, np.uint8)
    picture = np.asarray(sheet([[None, tile], [tile, tile]]))
    layout = Layout.of(2, 2, 0.5, 0, 0)
    assert (picture[layout.corner(0, 0)[1] + 5, layout.corner(0, 0)[0] + 5] == 255).all()
    x, y = layout.corner(1, 1)
    assert (picture[y + 5, x + 5] == 7).all() and layout.hit(x + layout.width / 2, y)[:2] == (1, 1)
    assert layout.hit(x - 1, y) is None


# --- the table of names -----------------------------------------------------------------------------


def test_the_table_of_names_is_up_to_date():
    assert (ROOT / "docs/names.md").read_text() == atlas.page(), "run: python -m sorakit.views.atlas docs/names.md"


def test_a_name_without_a_description_is_noticed(pipe, run, monkeypatch):
    assert len(atlas.intermediates(pipe, run)) == len(atlas.INTERMEDIATES)
    monkeypatch.delitem(atlas.INTERMEDIATES, "blocks.k.feed")
    with pytest.raises(ValueError, match="'blocks.k.feed' has no description"):
        atlas.intermediates(pipe, run)
