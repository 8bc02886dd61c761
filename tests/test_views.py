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
from sorakit.provenance import Provenance
from sorakit.safety.verify import Finding
from sorakit.safety.watermark import Detection
from sorakit.synthesis.recipe import Synthesis
from sorakit.tools.loop import loop
from sorakit.tools.storyboard import Card, Storyboard
from sorakit.transformer.model import Transformer
from sorakit.types import Brief, Conditioning, DenoisingStep, Element, Latents, Reason, Verdict, Video
from sorakit.views import (
    atlas,
    attach,
    charts,
    displays,
    explore_models,
    explore_words,
    explorers,
    insides,
    pictures,
    register,
)
from sorakit.views.attention import (
    Attention,
    attention,
    patch_at,
    patch_looks,
    patch_words,
    step_attention,
    time_matrices,
    word_maps,
)
from sorakit.views.explorer import png
from sorakit.views.reading import chosen_marks, reading, wrapped
from sorakit.views.sheet import WIDTH, Layout, diverging, font, rising, sheet

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


def test_in_a_ring_the_last_frame_looks_at_the_first():
    t, n, laid = 4, 6, 2
    patches = (t + 2 * laid) * n
    look = lambda kind, weights: step_attention(
        DenoisingStep(0, 1.0, 0.5, *[torch.randn(1, 4, t, 2, 3)] * 5, None, 1.0, {f"blocks.0.{kind}": weights}),
        f"blocks.0.{kind}")
    next_frame = torch.eye(patches).roll(n, 1).expand(1, 2, -1, -1)
    assert look("time", next_frame).between_frames() == pytest.approx(np.eye(t)[[1, 2, 3, 0]])
    even = look("time", torch.full((1, 2, patches, patches), 1 / patches))
    assert even.between_frames()[0] == pytest.approx([2 / 8] * 4)                     # each is there twice
    own = torch.arange(t + 2 * laid).view(-1, 1, 1, 1) * torch.ones(1, 1, n, n)
    assert look("space", own).weights[:, 0, 0, 0].tolist() == [2, 3, 4, 5]
    words = torch.arange(patches).view(1, 1, -1, 1) * torch.ones(1, 1, 1, 5)
    assert look("word", words).to_words()[0].ravel().tolist() == list(range(laid * n, (laid + t) * n))


def test_attention_of_a_loop_is_shown_over_its_own_frames(pipe):
    attach()
    ring = loop(pipe, prompt="a red car on a highway", seconds=1, steps=2, keep="blocks.*.attention").run
    for name in ring.steps[0].attention:
        look = attention(ring, name)
        assert look.shape == (4, 5, 9) and look.under.shape == (4, 80, 144, 3)
        assert look.weights.sum(-1).numpy() == pytest.approx(1, abs=0.01)
    look_at_ends = attention(ring, "blocks.1.time").between_frames()
    assert look_at_ends[0, 3] > 0 and look_at_ends[3, 0] > 0
    view = ring.explore()
    view["attention"].set(name="blocks.1.time", frame=3)
    view.close()


def test_words_of_the_prompt_only(run):
    look = attention(run, "blocks.0.word", step=2)
    assert look.words[:6] == ("[summary]", "a", "red", "car", "driving", "to")        # as the seed has it
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
                        "Autoencoder": lambda r: r.pipeline.autoencoder, "Text": lambda r: r.pipeline.text_encoder,
                        "Sampler": lambda r: r.pipeline.sampler, "Pipeline": lambda r: r.pipeline,
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
    assert displays.show_run(alone)["image/png"] and len(explorers.explore_run(alone).parts) == 7


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
    if isinstance(control, ipywidgets.Textarea):
        return ["cat", control.value, "two lorries at dusk, no rain, " * 60]
    middle = control.min + (control.max - control.min) / 2
    return [control.min, type(control.value)(middle), control.max]


def every(run, pipe):
    film = explorers.explore_video(run.video)
    assert explorers.explore_step(run.steps[2])["attention"].controls["step"].layout.display == "none"
    return {**explorers.explore_run(run).parts, "video": film, "sampler": pipe.sampler.explore(),
            "mixed": explorers.explore_latents(run.latents, pipe.autoencoder, Latents(run.steps[0].x)),
            **{f"step {name}": part for name, part in explorers.explore_step(run.steps[2]).parts.items()},
            "look": attention(run, "blocks.1.time").explore()}


def every_stage(run, pipe):
    return {"brief": run.brief.explore(), "reader": pipe.prompt.explore(), "conditioning": run.conditioning.explore(),
            **{f"text {name}": part for name, part in pipe.text_encoder.explore().parts.items()},
            **{f"transformer {name}": part for name, part in pipe.transformer.explore(run).parts.items()},
            **{f"autoencoder {name}": part for name, part in pipe.autoencoder.explore(run.video[:0.3]).parts.items()}}


@pytest.mark.parametrize("parts", [every, every_stage])
def test_explorers_draw_at_their_least_middle_and_greatest_values(run, pipe, parts):
    attach()
    for name, explorer in parts(run, pipe).items():
        for place in range(3):
            values = {key: ends(control)[place] for key, control in explorer.controls.items()}
            explorer.set(**values)
            assert explorer.values == values and opened(explorer.picture.png).shape[1] == WIDTH, (name, values)
        for key, control in explorer.controls.items():                                # every block, view and head
            for _, value in getattr(control, "_options_full", ()):
                explorer.set(**{key: value})
                assert opened(explorer.picture.png).shape[1] == WIDTH, (name, key, value)
        assert np.array_equal(opened(explorer.picture.png), opened(png(explorer.draw(**explorer.values))))


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
    for value in (run, run.latents, run.video, run.steps[0], pipe.sampler, run.brief, run.conditioning, pipe.prompt,
                  pipe.text_encoder, pipe.transformer, pipe.autoencoder):
        view = value.explore()
        assert set(alive) > before and view._repr_mimebundle_()["application/vnd.jupyter.widget-view+json"]
        view.close()
        assert set(alive) == before


# --- words and models -------------------------------------------------------------------------------


def test_what_is_typed_is_read_anew_and_a_refusal_is_said(pipe):
    attach()
    view = explore_words.explore_brief(pipe.prompt("a dog"), pipe.prompt)
    before = view.picture.png
    view.controls["prompt"].value = "a lorry on a foggy highway"
    assert view.picture.png != before
    assert np.array_equal(opened(view.picture.png), np.asarray(reading(pipe.prompt("a lorry on a foggy highway"))))
    with pytest.raises(ValueError, match="prompt is empty"):
        view.controls["prompt"].value = " "
    assert "prompt is empty" in view.trouble.value


def test_a_reading_marks_its_words_in_the_colours_of_their_roles():
    brief = Brief("a dog in fog", tokens=("a", "dog"), elements=(Element("weather", "fog", (9, 12), 0.9),))
    assert chosen_marks(brief) == [(9, 12, "weather")]
    there = lambda picture: (np.asarray(picture)[:40] == np.array([0xd0, 0xd1, 0xff])).all(-1).any()
    assert there(reading(brief)) and not there(reading(Brief("a dog in fog")))
    many = [Element("mood", f"w{k}", (4 * k, 4 * k + 3), 0.5) for k in range(40)]
    assert reading(Brief("abc " * 40, elements=tuple(many))).width == WIDTH
    text = "one two three four"
    lines = [text[a:b] for a, b in wrapped(text, font(15), font(15).getlength("one two"))]
    assert lines == ["one two", "three", "four"] and wrapped("", font(15), 10) == [(0, 0)]


def test_a_word_left_out_is_read_without_it(pipe):
    encoder, prompt = pipe.text_encoder, "a red car on a highway"
    conditioning = encoder(pipe.prompt(prompt))
    again = explore_words.left_out(encoder, conditioning.tokens, 1)
    assert torch.allclose(again, encoder.encode(["a car on a highway"])[0][0, :6], atol=1e-5)
    view = explore_words.explore_conditioning(conditioning, encoder)
    before = view.picture.png
    view.set(without=2)
    assert opened(view.picture.png).shape[0] > opened(before).shape[0]                # a chart of what moved below


def test_who_looks_at_whom_adds_up_and_leads_to_what_the_encoder_gives(pipe, monkeypatch):
    shown = []
    monkeypatch.setattr(explore_words, "looked_at",
                        lambda names, weights, title: shown.append(weights) or charts.looked_at(names, weights, title))
    explore_words.who_looks(pipe.text_encoder, "a red car", 1, -1)
    explore_words.who_looks(pipe.text_encoder, "cat", 0, 1)
    assert shown[0].shape == (4, 4) and shown[0].sum(1) == pytest.approx(1) and shown[1].shape == (2, 2)
    with pytest.raises(ValueError, match="prompt=' ' has no word"):
        explore_words.two_prompts(pipe.text_encoder, " ", "a cat")


def test_matrices_are_those_of_the_block(pipe):
    block = pipe.transformer.blocks[1]
    x = torch.randn(1, 5, 64)
    q, k, v = block.qkv(x).chunk(3, -1)
    found = insides.matrices(pipe.transformer, 1, "self")
    assert torch.allclose(x @ found["keys"].T + block.qkv.bias[64:128], k, atol=1e-5)
    assert torch.equal(insides.matrices(pipe.transformer, 1, "word")["out"], block.word_out.weight)
    assert {name: tuple(m.shape) for name, m in insides.matrices(pipe.transformer, 0, "feed").items()} == {
        "up": (192, 64), "down": (64, 192)}
    with pytest.raises(ValueError, match="part='time' is not one of self, word, feed"):
        insides.matrices(pipe.transformer, 0, "time")


def test_what_sub_layers_add_is_what_changes_the_patches(pipe, run):
    sizes, into = insides.added(pipe.transformer, run, 2)
    seen = {}
    with pipe.transformer.watch("*", lambda name, value: seen.update({name: value[0]})):
        insides.answer(pipe.transformer, run, 2)
    assert into.tolist() == pytest.approx([float(seen[k].square().mean().sqrt()) for k in ("embed", "blocks.0")])
    with pipe.transformer.without("blocks.0.word", "blocks.0.feed"), \
            pipe.transformer.watch("blocks.0", lambda name, value: seen.update(alone=value[0])):
        insides.answer(pipe.transformer, run, 2)
    alone = (seen["alone"] - seen["embed"]).square().mean(-1).sqrt().view(3, 5, 9)
    assert torch.allclose(sizes["blocks.0.space"], alone, atol=1e-4)
    assert set(sizes) == {f"blocks.{k}.{part}" for k, own in enumerate(("space", "time")) for part in
                          (own, "word", "feed")}


def test_the_answer_is_what_the_run_saw(pipe, run):
    now = run.steps[1]
    assert torch.allclose(insides.answer(pipe.transformer, run, 1), now.x - now.t * now.conditional, atol=1e-4)
    ring = loop(pipe, prompt="a red car on a highway", seconds=1, steps=2).run
    now = ring.steps[1]
    assert torch.allclose(insides.answer(pipe.transformer, ring, 1), now.x - now.t * now.conditional, atol=1e-4)
    assert insides.added(pipe.transformer, ring, 1)[0]["blocks.1.time"].shape == (4, 5, 9)


def test_gates_are_those_of_the_forward_pass(pipe, run):
    opened_by = insides.gates(pipe.transformer, [0.25, 0.75], run.conditioning.vectors[:1, 0], 5, 9)
    assert opened_by.shape == (2, 2, 2)
    model, words = pipe.transformer, run.conditioning.vectors[:1, :1]
    condition = torch.nn.functional.silu(model.time_embedding(torch.tensor([[0.75]])) + words
                                         + model.time_embedding.of_shape(5, 9, 8.0, words))
    six = (model.modulation(condition) + model.blocks[1].bias).chunk(6, -1)
    assert opened_by[:, 1, 1] == pytest.approx([float(six[k].abs().mean()) for k in (2, 5)], rel=1e-4)


def test_a_channel_paints_its_patch_and_nothing_before_it():
    torch.manual_seed(0)
    eyes = Autoencoder(channels=8, width=8).eval().requires_grad_(False)              # its decoder still adds nothing
    line, whole = insides.paints(eyes, 3, 2.0)
    assert torch.allclose(line, whole, atol=1e-5) and line.shape == (5, 48, 48, 3)
    patch = 2.0 * rearrange(eyes.to_patch.weight[:, 3], "(c t y x) -> t y x c", c=3, t=2, y=16)
    assert torch.allclose(whole[1:3, 16:32, 16:32], patch, atol=1e-5)
    assert not whole[0].any() and not line[:, :16].any()


def test_a_film_is_taken_in_any_form_and_others_are_refused(pipe, run, unchecked):
    same = explore_models.latents_of(run.latents, pipe.autoencoder)
    assert torch.equal(same, explore_models.latents_of(run, pipe.autoencoder))
    frames = run.video[:0.3]
    assert explore_models.latents_of(frames, pipe.autoencoder).shape[:3] == (1, 8, 1 + (len(frames.frames) - 1) // 2)
    with pytest.raises(ValueError, match="film is of type str; it takes a Video, Latents or a Run"):
        explore_models.latents_of("film.mp4", pipe.autoencoder)
    with pytest.raises(ValueError, match="film has latents of 4 channels; this autoencoder has 8"):
        explore_models.latents_of(Latents(torch.zeros(1, 4, 2, 2, 2)), pipe.autoencoder)
    with pytest.raises(ValueError, match="run has latents of 8 channels; this transformer takes 4"):
        explore_models.explore_transformer(Transformer(4, 64, 2, 2), run)


# --- displays of tools, recipes and findings --------------------------------------------------------


def test_a_storyboard_shows_its_cards_in_time(shell):
    red = np.full((40, 60, 3), (200, 20, 20), np.uint8)
    board = Storyboard((Card(0, "a woman walks"), Card(2, "a unicorn", transition="cut"), Card(3, image=red),
                        Card(3.5, image="not_there.png"), Card(4, video=Video(red[None], 8.0))), seconds=5)
    data, _ = shell.display_formatter.format(board)
    assert data["text/plain"].splitlines() == [
        "Storyboard(5 s, 5 cards, 2 shots)", "  0 s: a woman walks", "  2 s, cut: a unicorn",
        "  3 s, smooth: image (ndarray)", "  3.5 s, smooth: image not_there.png", "  4 s, smooth: video (Video)"]
    shown = opened(base64.b64decode(data["image/png"]))
    assert shown.shape[1] == WIDTH and (shown == red[0, 0]).all(-1).sum() > 2 * 100 * 100       # two pictures


def test_a_recipe_shows_its_parts_in_order_and_then_what_they_took(shell):
    recipe = Synthesis(sharpen=0.3, fps=16)
    data, _ = shell.display_formatter.format(recipe)
    assert data["text/plain"] == repr(recipe)
    assert re.findall("Upscale|FrameRate|Sharpen|resize", data["text/html"]) == ["Upscale", "FrameRate", "Sharpen",
                                                                                 "resize"]
    recipe(np.zeros((3, 80, 144, 3), np.uint8), height=160)
    data, _ = shell.display_formatter.format(recipe)
    assert "seconds, last film" in data["text/html"] and data["text/plain"] == repr(recipe)


def test_findings_and_reasons_say_what_was_found(shell):
    text = lambda value: shell.display_formatter.format(value)[0]
    reason = text(Reason("people", ("a <b>",), "classifier", 0.91, 0.8, "alter"))
    assert reason["text/plain"] == "Reason(people in 'a <b>': classifier, 0.91 of at least 0.80; alter)"
    assert "a &lt;b&gt;" in reason["text/html"] and "it fires from 0.80" in reason["text/html"]
    mark = Detection(True, 1e-9, 0xab << 48 | 5, 0.5, 0.0, True, 2, 900)
    assert text(mark)["text/plain"] == f"Detection({mark})" and "exchanged" in text(mark)["text/html"]
    for finding, colour in ((Finding("a.mp4", Provenance(True, False, True), mark, True), "#2a9d8f"),
                            (Finding("a.mp4", Provenance(True, True), mark, None), "#c0392b"),
                            (Finding("a.mp4", Provenance(False), mark, None), "#b8860b")):
        shown = text(finding)
        assert finding.verdict.split(",")[0] in shown["text/html"] and colour in shown["text/html"]
        assert shown["text/plain"] == str(finding)


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
