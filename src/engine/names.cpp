#include "engine/names.hpp"

#include <algorithm>
#include <array>
#include <cctype>

#include "base/id.hpp"
#include "base/text.hpp"

namespace coffer::engine {

namespace {

constexpr std::array<std::string_view, 64> kAdjectives = {
    "able",   "agile",  "amber",  "ample",   "autumn", "azure",  "balmy",   "bold",
    "brave",  "breezy", "bright", "brisk",   "calm",   "candid", "civil",   "clear",
    "clever", "cosy",   "crisp",  "curious", "daring", "deft",   "early",   "eager",
    "fair",   "fleet",  "fresh",  "gentle",  "glad",   "golden", "grand",   "hardy",
    "honest", "humble", "jolly",  "keen",    "kind",   "lively", "loyal",   "lucid",
    "merry",  "mild",   "modest", "neat",    "nimble", "noble",  "patient", "placid",
    "plucky", "polite", "proud",  "quick",   "quiet",  "rapid",  "serene",  "sharp",
    "silver", "steady", "sunny",  "swift",   "tidy",   "vivid",  "warm",    "wise"};

constexpr std::array<std::string_view, 64> kBirds = {
    "albatross", "avocet",     "bittern",   "blackbird", "bluetit", "bullfinch", "bunting",
    "bustard",   "buzzard",    "chaffinch", "condor",    "coot",    "cormorant", "crane",
    "cuckoo",    "curlew",     "dipper",    "dove",      "dunlin",  "eagle",     "egret",
    "falcon",    "fieldfare",  "finch",     "gannet",    "godwit",  "goldcrest", "goose",
    "grebe",     "harrier",    "heron",     "hoopoe",    "ibis",    "jackdaw",   "jay",
    "kestrel",   "kingfisher", "kite",      "lapwing",   "lark",    "linnet",    "magpie",
    "martin",    "merlin",     "nightjar",  "nuthatch",  "oriole",  "osprey",    "ouzel",
    "owl",       "petrel",     "pipit",     "plover",    "puffin",  "redstart",  "robin",
    "sandpiper", "siskin",     "skua",      "starling",  "swallow", "tern",      "thrush",
    "wren"};

std::size_t random_below(std::size_t limit) {
    const std::string hex = random_hex(4);
    std::size_t value = 0;
    for (const char c : hex)
        value = value * 16 + static_cast<std::size_t>(c <= '9' ? c - '0' : c - 'a' + 10);
    return value % limit;
}

}  // namespace

bool is_valid_name(std::string_view name) {
    const auto alnum = [](char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0; };
    if (name.size() < 2 || !alnum(name.front())) return false;
    return std::all_of(name.begin(), name.end(),
                       [&](char c) { return alnum(c) || c == '_' || c == '.' || c == '-'; });
}

std::string make_up_name(int attempt) {
    std::string name = format("{}_{}", kAdjectives[random_below(kAdjectives.size())],
                              kBirds[random_below(kBirds.size())]);
    if (attempt > 0) name += std::to_string(random_below(10 * static_cast<std::size_t>(attempt)));
    return name;
}

}  // namespace coffer::engine
