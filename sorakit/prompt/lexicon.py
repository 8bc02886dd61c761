"""The words that give a part of a prompt its role. What is not in here is judged by its grammar and its vectors.

Patterns run over the prompt in lower case with single spaces between all tokens ("night , rain"), as `grammar` cuts "
            "it.
"""

from __future__ import annotations

import re


def _any(text: str) -> str:
    return "(?:" + "|".join(word.replace("_", " ") for word in text.split()) + ")"


def _set(text: str) -> frozenset[str]:
    return frozenset(word.replace("_", " ") for word in text.split())


COLOURS = {name: base for base, names in {
    "red": "red crimson scarlet ruby maroon vermilion", "orange": "orange tangerine amber apricot",
    "yellow": "yellow lemon", "green": "green emerald olive lime jade mint", "purple": "purple violet lilac lavender",
    "blue": "blue navy azure cobalt sapphire indigo cyan turquoise teal", "pink": "pink magenta rosy fuchsia",
    "brown": "brown chestnut tan bronze auburn", "black": "black ebony jet-black pitch-black",
    "white": "white ivory snow-white", "grey": "grey gray silver charcoal", "golden": "golden gold blonde",
}.items() for name in names.split()}

# What settings, times and weathers bring along: it needs no stand-in, though it is no subject either.
SCENERY = _set("wave shore sand sea ocean water lake sky cloud sun moon star moonlight sunlight starlight horizon tree "
               "pine palm flower wildflower grass leaf bush mountain hill dune cactus snow rain raindrop snowflake fog "
               "mist reflection puddle road lane street sidewalk building skyscraper window lamp lantern light neon "
               "sign billboard umbrella bench curtain spotlight coral seaweed bubble nebula")

NUMBERS = {word: number for number, words in enumerate(
    ("", "a an one single", "two couple pair", "three", "four", "five", "six", "seven", "eight", "nine", "ten",
     "eleven", "twelve dozen")) for word in words.split()}
MANY = _set("several many some few numerous countless various multiple hundreds thousands")
GROUPS = _set(
    "group herd flock pack school crowd bunch swarm team caravan handful couple pair row line gang pod horde dozen "
    "family army cluster series number lot lots parade fleet litter bouquet")
CONTAINERS = _set(
    "blade drop puff strand cube barrel jug tub can tray bag tin block lump scoop bunch cup glass bowl bottle plate "
    "pile slice piece bucket basket mug pot box stack sheet bale loaf jar cloud ball column pair bouquet")

# Places. "on the moon" and the like are places only behind a preposition: see MAYBE_PLACES.
PLACES = _set(
    "field meadow prairie savanna savannah plain steppe pasture farm farmland orchard vineyard garden greenhouse lawn "
    "beach shore seashore coast coastline riverbank bay harbour harbor port pier dock wharf marina lagoon island reef "
    "coral_reef sea ocean lake river stream creek pond waterfall canal swamp marsh fjord street road avenue boulevard "
    "alley alleyway lane highway motorway freeway intersection crossroads sidewalk pavement bridge tunnel square "
    "plaza city town village suburb downtown metropolis cityscape skyline skyscraper district neighbourhood "
    "neighborhood forest wood woods woodland jungle rainforest grove bamboo_forest thicket mountain mountainside hill "
    "hillside peak valley canyon cliff gorge cave cavern volcano_crater glacier tundra desert dune oasis wasteland "
    "badlands landscape seascape countryside wilderness snowfield terrace snowscape park playground stadium arena "
    "track court pool stage theatre theater concert_hall hall ballroom opera nightclub club bar pub cafe restaurant "
    "diner bakery kitchen living_room bedroom bathroom room attic basement cellar corridor hallway office classroom "
    "school university library museum gallery studio laboratory lab workshop factory warehouse barn stable castle "
    "palace temple church cathedral mosque monastery shrine tower lighthouse fortress ruin mansion house cottage "
    "cabin hut building apartment hotel hospital prison shop store mall supermarket market marketplace bazaar station "
    "airport runway platform space_station spaceport underwater seabed seafloor space outer_space galaxy universe "
    "cosmos nebula planetarium aquarium zoo circus carnival fair festival rooftop roof balcony courtyard stairs "
    "staircase stairway pass trail path sky skies horizonless world kingdom realm backyard yard graveyard cemetery "
    "battlefield gym parking_lot garage bus_stop skate_park gutter backstreet dreamscape ruins ridge slope riverside "
    "seaside lakeside pastureland riverbed crest promenade waterfront cove cliffside campsite treehouse penthouse "
    "lobby elevator escalator casino arcade saloon speakeasy tavern inn ship_deck deck sewer maze labyrinth dungeon "
    "plateau crater moor heath waterhole wetland delta estuary hallways catwalk racetrack raceway ring rink tokyo "
    "paris london rome venice berlin amsterdam barcelona madrid athens istanbul moscow vienna prague lisbon cairo "
    "dubai mumbai delhi beijing shanghai bangkok singapore sydney seoul kyoto osaka hong_kong new_york manhattan "
    "brooklyn chicago los_angeles hollywood san_francisco las_vegas miami boston toronto mexico rio times_square "
    "grand_canyon africa europe asia america india china japan italy france spain germany greece egypt iceland norway "
    "scotland ireland england switzerland brazil alaska antarctica arctic hawaii bali australia sahara himalayas alps "
    "mars saturn jupiter venus atlantis")
MAYBE_PLACES = _set(
    "sand moon ice grass snow ground floor water earth planet hills rocks sand lawn wheat")
CAPITALISED_PLACE_PREPOSITIONS = _set("in at above over across near through to around from outside")

# What a film is called, and where in it something is: neither is in the picture.
FRAMES = _set(
    "video clip film movie footage image picture photo photograph scene shot view frame camera screen background "
    "foreground distance horizon middle center centre side left right top bottom front back way end kind lot type "
    "corner sequence render version prompt instruction loop note idea thing something anything everything someone "
    "nobody moment time second minute detail please thanks thank hand_in_hand story part effect closeup action place "
    "portrait selfie montage shape form theme reflection reflections everywhere other another them others composition "
    "setting backdrop viewer while one pls edge pace speed")
REQUESTS = _set(
    "make show see create generate want animate give get please reveal add have be let imagine draw film need like "
    "would could can possible ignore include depict feature produce open use")

CLOTHES = _set(
    "headband jersey hoody beanie cardigan turtleneck sandals heels slippers socks shawl poncho tiara wig monocle "
    "belt wetsuit pearls earrings jewellery jewelry bracelet bracelets medal bandana ribbon ribbons lipstick makeup "
    "dress coat raincoat jacket suit hat cap shirt t-shirt blouse skirt gown cloak robe scarf armor armour uniform "
    "costume outfit kimono jeans trousers pants shorts boots shoes sneakers sunglasses glasses helmet hoodie sweater "
    "jumper mask spacesuit apron veil crown gloves tie bikini swimsuit pajamas pyjamas overalls tuxedo vest clothes "
    "clothing headphones goggles sari cape backpack necklace turban bonnet tutu")
BODY = _set(
    "spot spots dot dots hand hands finger fingers cheek cheeks nose mouth tongue neck beak trunk fin fins hoof "
    "hooves shoulder shoulders lip lips eyebrow eyebrows nail nails scar scars tattoo tattoos stripe stripes wrinkle "
    "wrinkles head belly foot feet hair eye eyes beard moustache mustache wing wings tail ear ears horn horns fur "
    "mane feather feathers skin face smile claw claws fang fangs freckle freckles tusk tusks paw paws antler antlers "
    "scales teeth pigtail pigtails braid braids ponytail whisker whiskers leg legs arm arms body")
PLURALS = _set(
    "jellyfish starfish salmon bison moose people fish sheep deer children men women police geese mice cattle")
PLURAL_MODIFIERS = _set("sports arms news glasses games clothes woods species series")     # "sports car"
COMPOUNDS = {tuple(pair.split("_")) for pair in (              # what looks like an adjective or a verb
    "grand_piano top_hat hot_dog hot_air riding_hood teddy_bear sea_turtle solar_panel remote_control wild_boar "
    "bald_eagle watering_hole watering_can rocking_chair rocking_horse washing_machine sewing_machine swimming_pool "
    "walking_stick sleeping_bag running_shoe frying_pan shooting_star spinning_top fishing_rod fishing_boat "
    "fishing_net magnifying_glass rowing_boat sailing_ship sailing_boat racing_car vending_machine diving_board "
    "ironing_board chewing_gum cutting_board hunting_dog playing_card flying_saucer flying_fish dining_table "
    "shopping_bag shopping_cart skipping_rope climbing_wall training_wheel boxing_glove spinning_wheel "
    "steering_wheel guinea_pig praying_mantis crossing_guard high_heel ferris_wheel french_fry baking_tray blue_jay "
    "black_hole red_panda").split()}
FOR_DOING = _set("bag machine rod pan gear board room pool lot wheel")             # "punching bag"
PLACE_ENDINGS = ("yard", "scape", "shore", "town", "field", "land")
SHADED = {tuple(pair.split("_")) for pair in
          "crystal_clear ice_cold ice_blue sky_blue pitch_black jet_black snow_white blood_red brand_new razor_sharp "
          "crystal_blue stone_cold bone_white rose_gold neon_green neon_pink hot_pink baby_blue navy_blue".split()}
HAVING = ("haired", "eyed", "skinned", "legged", "winged", "faced", "bearded", "shaped", "coloured", "colored")
COLOURED_PLANTS = _set("lavender mint olive lemon lime orange apricot chestnut cherry rose")
PLANTS = _set("tree bush field grove plant orchard farm juice slice peel oil branch hedge")
SHINING = _set(
    "blazing glittering glimmering glistening dazzling scorching glowing shining sparkling towering flaming burning "
    "flickering shimmering gleaming twinkling steaming flowing warm amazing stunning charming missing living rugged "
    "winding sprawling breathtaking rocking raging bustling sweeping rolling rowing")
NOT_ACTIONS = _set(
    "be have let look_like seem line cover light fill surround make show see set include use wear dress hold_on park "
    "reflect cap base snow rain style inspire reveal detail feature name bustle can will would should could may might "
    "must")
PERCEIVE = _set("watch see hear let make help")
PHRASAL = _set(
    "pick set put break blow light wake tear knock cut give grow clean dress shut slow calm write tie line")
POSTURES = _set("seated perched suspended curled")
MANNER = re.compile(r"(?<![\w-])(?:upside down|face (?:down|up)|back to back|hand in hand|side by side|arm in arm|"
                    r"one by one|back and forth|all around|in the air|face to face|"
                    r"in front of (?:the )?camera|at the camera)(?![\w-])")

PREPOSITIONS = tuple(sorted((p.split() for p in (
    "in,on,at,with,under,beneath,below,above,over,behind,beside,near,by,against,across,through,along,around,past,into,"
    "onto,toward,towards,between,among,inside,outside,in front of,next to,on top of,out of,from,to,for,alongside,atop,"
    "upon,off,after,before,up,down,within,amid,amidst,opposite,close to,underneath,beyond,without,like").split(","))
    , key=len, reverse=True))

_SEASONAL = _any("early late spring summer autumn winter fall halloween christmas the bright sunny dark")
_SLOWLY = r"(?:\w+ly )?"

PATTERNS: dict[str, str] = {
    "camera": "|".join((
        rf"(?:the )?camera {_SLOWLY}(?:pan|zoom|track|follow|dolly|dollie|tilt|orbit|circle|move|pull|push|glide|stay|"
        rf"rotate|sweep|drift)\w*(?: {_SLOWLY}(?:left|right|in|out|up|down|back|closer|away|along|still|forward|"
        rf"to the left|to the right|around))*",
        r"(?:(?:extreme|sweeping|wide|wide-angle|aerial|drone|tracking|low|low-angle|high|high-angle|handheld|static|"
        r"fixed|still(?= camera| shot)|crane|overhead|establishing|panning|dolly|steadicam|first-person|"
        r"first person|bird 's eye|bird's eye|birds eye|bird's-eye|top-down|top down|isometric|slow motion|"
        r"slow-motion|slow-mo|fisheye|telephoto|medium|long|pov|macro|close-up|close up|closeup|shallow|moving|"
        r"dutch|dutch angle|"
        r"following|over-the-shoulder|one-take|continuous|timelapse|time-lapse|cinematic(?= (?:aerial|drone|wide|"
        r"tracking|close))) )+(?:shots?|footage|view|angle|lens|camera|focus|clip|perspective|pan|zoom|video)",
        r"(?:extreme )?(?:close-up|close up|closeup|macro)(?: shot| lens)?", r"slow[- ]motion|slow-mo|slowmo",
        r"time-?\s?lapse|hyper-?lapse", r"\bpov\b|point of view", r"dolly zoom|whip pan|crash zoom",
        r"(?:slow )?zoom(?:s|ing)?[- ](?:in|out)", r"pan(?:s|ning)? (?:slowly )?(?:to the )?(?:left|right)",
        r"(?:shallow )?depth of field", r"bokeh(?: background)?", r"(?:wide|low|high)[- ]angle",
        r"bird(?: 's|'s|s)?[- ]eye view", r"shallow focus|deep focus|rack focus|soft focus", r"tilt-?\s?shift",
        r"fisheye|telephoto|steadicam|handheld", r"first[- ]person", r"long take|one take|long exposure")),
    "mood": r"fast[- ]paced(?: action)?|action[- ]packed|awe[- ]inspiring|feel[- ]good",
    "time": "|".join((
        rf"sun {_SLOWLY}(?:sets?|setting|rises?|rising|goes down|going down|sinks?|sinking|comes up|coming up)",
        r"(?:setting|rising) sun", rf"moon {_SLOWLY}(?:rises?|rising|sets?)", r"full moon|crescent moon",
        r"(?:golden|blue|magic|rush) hour", r"(?:starry|moonlit|starlit|nighttime|night)(?: sky| night| skies)?",
        r"(?:ambient |soft |pale )?moonlight|starlight",
        rf"(?:{_SEASONAL} )*{_any('morning evening afternoon nighttime daytime day-time')}"
        r"(?! (?:gown|dress|wear))(?: sun)?",
        r"halloween(?! (?:night|costume|decoration|pumpkin|mask|party)s?)|(?:christmas|new year ?'s) (?:eve|day)",
        rf"(?:{_any('halloween christmas winter summer spring autumn late polar')} )?night",
        r"(?:mid)?night|midday|noon|noontime|midnight", r"(?:early |late )?(?:dawn|dusk|sunrise|sunset|sundown|"
        r"daybreak|twilight|nightfall|first light)", r"(?:summer |winter |spring |autumn )?day(?:time|light)?(?! of)",
        r"(?:early |late |mid)?(?:autumn|winter|summer|springtime)",
        r"in (?:early |late )?(?:spring|fall)", r"tonight")),
    "weather": "|".join((
        r"(?:(?:heavy|light|thick|dense|gentle|strong|pouring|falling|soft|deep|fresh|torrential|driving|fierce|"
        r"raging|low|morning|volumetric|swirling|distant|dark|fluffy|drifting|white|approaching|acid|tropical) )*"
        r"(?:rain|rainy|raining|rainfall|rainstorm|drizzle|drizzly|downpour|snowfall|snowy|snowing|snowstorm|"
        r"snowflakes|blizzard|fog|foggy|mist|misty|haze|hazy|storms?|stormy|thunderstorm|thunder|lightning|overcast|"
        r"cloudy|windy|wind|breeze|breezy|gusts?|hail|hailstorm|sandstorm|heatwave|monsoon|sleet|frosty|smog)"
        r"(?: reflections)?",
        r"(?:(?:heavy|falling|deep|fresh|gentle|soft|light) )*snow(?! leopard| globe| owl| queen)",
        r"(?:dust|sand) storms?", r"heat haze", r"clear(?= (?:\w+ )?(?:sky|skies|weather|day|night))",
        r"(?:fluffy |dark |white |storm |low |passing |drifting |rolling )*(?<!dust )(?<!made of )clouds(?! of)",
        r"(?:warm |bright |golden |dappled |soft )*(?:sunlight|sunshine|sunbeams?|sunny|sun rays|sunlit)",
        r"(?<=in )the sun(?! set| ris| go)")),
    "style": "|".join((
        r"(?:in )?the style of (?:the )?[\w-]+(?: [\w-]+)?(?= ?(?:$|[,.;]))|in the style of [\w-]+",
        r"(?:film |neo-)noir", r"black[- ]and[- ]white|b&w|monochrome|sepia(?: tones?)?",
        r"silhouettes?(?= ?(?:$|,|of\b))",
        r"(?:highly|hyper|ultra|super|very|extremely|intricately|insanely) ?-?(?:detailed|realistic|hd|sharp)|"
        r"(?:intricate|high|fine) details?",
        r"photo-?\s?realis(?:tic|m)|hyper-?realis(?:tic|m)|realistic|realism|lifelike|surreal(?:ism|ist|istic)?",
        r"\d+k(?: (?:uhd|hdr|resolution))?|\d+p|u?hd|hdr|masterpiece|(?:best|high|top) quality|award-winning|"
        r"trending on [\w ]+|unreal engine(?: \d)?|octane(?: render)?|ray tracing|\d+mm(?: film)?|"
        r"super 8(?: film)?|vhs|imax|film grain|grainy|lens flare|vignette",
        r"(?<!of )(?:minimalist |rough |loose |old |soft )?(?:watercolou?r|oil|acrylic|ink|gouache|digital|matte|"
        r"impressionist)(?: painting| illustration| wash| drawing| art| animation)?(?= |$)(?<!oil)(?<!digital)",
        r"(?:a )?(?:child|children|kid|kids) ?'s (?:drawing|painting|book(?: illustration)?)",
        r"(?:minimalist |rough |simple )?(?:pencil|charcoal|line|crayon|chalk|pen) (?:drawing|sketch|art)",
        r"(?:paper )?cut-?\s?out|papercraft|paper craft|origami|stop[- ]motion|claymation|pixel[- ]art|8-bit|16-bit|"
        r"low[- ]poly|voxel|isometric art|3d(?: render| animation)?|2d|cel[- ]shad(?:ed|ing)|cgi|anime|manga|cartoon|"
        r"comic book|ghibli|sketch|doodle|illustration|animation|collage|stained glass|ukiyo-e|art deco|art nouveau|"
        r"(?:silent|action|horror|disaster|war|spy|adventure|science fiction) (?:movie|film)(?: (?:scene|trailer))?",
        r"horror(?= ?(?:$|,))|still life|(?:god|light) rays|rays of light",
        r"(?:storybook|concept|fashion|botanical) (?:illustration|art)",
        r"pop art|cubist|impressionist|minimalist|minimalism|abstract art|psychedelic|vapou?rwave|synthwave|lo-?fi|"
        r"cyberpunk|cyberpunk-style|solarpunk|dark fantasy|high fantasy|sci-fi|thriller|documentary|gritty|cinematic"
        r"(?: style| look| lighting)?|neon-lit|neon-drenched|candlelight|candlelit|chiaroscuro",
        r"(?:the )?colou?rs are \w+(?: and \w+)?",
        r"(?:19|20)\d0s|[2-9]0s")),
}
COMPILED = {role: re.compile(rf"(?<![\w'-])(?:{pattern})(?![\w'-])") for role, pattern in PATTERNS.items()}

# Nouns that make the whole phrase around them a style or a mood: "soft pastel colors", "dark ambiance".
STYLE_HEADS = _set(
    "style look aesthetic aesthetics color colors colour colours tone tones palette lighting light glow painting "
    "drawing illustration animation art scheme quality texture textures effects grading cinematography film render "
    "rendering contrast exposure")
MOOD_HEADS = _set(
    "mood atmosphere ambiance ambience vibe vibes feel feeling feelings tension energy")
SOFT_STYLES = _set(
    "futuristic vintage retro steampunk gothic modern neon pastel noir fantasy baroque minimalistic detailed elegant "
    "stylised stylized colorful colourful vibrant photographic painterly hand-drawn")

MOODS = _set(
    "comic comedic silly absurd ambient hypnotic serene peaceful tranquil calm quiet relaxing relaxed soothing gloomy "
    "sombre somber melancholic melancholy bleak sad cheerful happy joyful joyous upbeat playful festive bright fun "
    "funny humorous whimsical magical enchanting mysterious mystical eerie spooky creepy scary ominous haunting "
    "sinister menacing tense suspenseful dreamy dreamlike ethereal surreal romantic nostalgic wistful cozy cosy "
    "intimate tender heartwarming dramatic intense epic powerful majestic awe-inspiring heroic inspiring uplifting "
    "triumphant hopeful lonely desolate moody chaotic frantic hectic energetic lively exciting action-packed "
    "fast-paced contemplative meditative idyllic wholesome solemn wild dark")
PRETTY = _set("cute adorable lovely beautiful")          # of a subject, whatever stands around it
SIZES = _set(
    "round giant tiny huge little small big large tall short massive enormous miniature gigantic colossal")
NAMING = _set(                                              # adjectives that name a kind
    "cherry pine palm oak maple toy polar tabby teddy grizzly northern arctic humpback bald electric")
ALWAYS_MOODS = MOODS - _set("dark bright wild lonely desolate funny fun "
                            "surreal majestic powerful")   # the rest also describe what is seen

DIRECTIONS = (
    ("right", r"(?:from )?left to right|(?:to|towards?) the right(?: side)?|rightwards?"),
    ("left", r"(?:from )?right to left|(?:to|towards?) the left(?: side)?|leftwards?"),
    ("towards", r"(?:directly |straight )?towards? (?:the )?(?:camera|viewer|us|lens|audience|screen)"),
    ("away", r"away(?: from (?:the )?(?:camera|viewer|us|lens))?|into the distance"),
    ("up", r"upwards?|skywards?|uphill"), ("down", r"downwards?|downhill"),
    ("left", r"(?<!the )left"), ("right", r"(?<!the )right"), ("up", r"up"), ("down", r"down"),
)
COMPILED_DIRECTIONS = tuple((name, re.compile(rf"(?<![\w'-])(?:{pattern})(?![\w'-])")) for name, pattern in DIRECTIONS)

NEGATION = re.compile(r"(?<![\w'-])(?<!why )(?:(?:please )?(?:do not|don't|dont|do n't|never|avoid|without|no|not|"
        r"free of|minus|"
                      r"excluding|except)(?: (?:show|add|include|have|any|a|an|the|with|put|draw|be|using|use))*)"
                      r"(?= [\w])")
SPELLINGS = {"thru": "through", "pls": "please", "plz": "please", "w": "with", "nite": "night", "u": "you",
             "bg": "background", "vid": "video", "pic": "picture", "gonna": "going to", "ur": "your"}
