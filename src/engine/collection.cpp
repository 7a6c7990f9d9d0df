#include "engine/collection.hpp"

#include <algorithm>
#include <numeric>

#include "base/text.hpp"

namespace coffer::engine {

namespace {

// Less is not worth losing a name for: documents of an image whose layers stay.
constexpr std::uint64_t kWorthIt = 64 * 1024;

// How many of the candidates have each part.
class Owners {
  public:
    explicit Owners(const std::vector<Candidate>& candidates) {
        for (const Candidate& one : candidates) add(one);
    }
    void add(const Candidate& one) {
        for (const auto& [part, size] : one.parts) ++count_[part];
    }
    // Gives the bytes that nobody has then.
    std::uint64_t remove(const Candidate& one) {
        std::uint64_t free = 0;
        for (const auto& [part, size] : one.parts) {
            if (--count_[part] == 0) free += size;
        }
        return free;
    }
    std::uint64_t bytes_of_nobody(const Candidate& one) const {
        std::uint64_t free = 0;
        for (const auto& [part, size] : one.parts) {
            if (count_.at(part) == 0) free += size;
        }
        return free;
    }

  private:
    std::map<std::string, std::size_t> count_;
};

}  // namespace

Result<Watermark> parse_watermark(std::string_view text) {
    if (text.ends_with('%')) {
        const auto percent = parse_uint(text.substr(0, text.size() - 1));
        if (percent && *percent <= 100) return Watermark{Watermark::Unit::Percent, *percent};
    } else if (const auto bytes = parse_bytes(text); bytes && *bytes >= 0) {
        return Watermark{Watermark::Unit::Bytes, static_cast<std::uint64_t>(*bytes)};
    }
    return fail(Code::InvalidArgument,
                "invalid watermark '{}': a part of the file system (85%) or a size (20g)", text);
}

std::string to_string(const Watermark& mark) {
    if (mark.unit == Watermark::Unit::Percent) return format("{}%", mark.value);
    return human_size(static_cast<double>(mark.value));
}

Result<void> settle(CollectionRules& rules) {
    if (!rules.high) return {};
    if (!rules.low)
        rules.low = Watermark{rules.high->unit, rules.high->value - rules.high->value / 10};
    if (rules.low->unit != rules.high->unit)
        return fail(Code::InvalidArgument,
                    "the low watermark {} and the high one {} are of different units",
                    to_string(*rules.low), to_string(*rules.high));
    if (rules.low->value > rules.high->value)
        return fail(Code::InvalidArgument, "the low watermark {} is above the high one {}",
                    to_string(*rules.low), to_string(*rules.high));
    return {};
}

std::uint64_t bytes_beyond(const Watermark& mark, const DiskFill& fill) {
    std::uint64_t used = fill.images;
    std::uint64_t limit = mark.value;
    if (mark.unit == Watermark::Unit::Percent) {
        used = fill.used;
        limit = fill.size / 100 * mark.value;
    }
    return used > limit ? used - limit : 0;
}

std::vector<Choice> choose(const std::vector<Candidate>& candidates, std::uint64_t bytes) {
    Owners owners(candidates);
    std::vector<std::size_t> order(candidates.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::erase_if(order, [&](std::size_t index) { return candidates[index].stays; });
    std::sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
        return std::pair(candidates[a].used, a) < std::pair(candidates[b].used, b);
    });
    std::vector<std::size_t> chosen;
    for (std::uint64_t free = 0; const std::size_t index : order) {
        if (free >= bytes) break;
        free += owners.remove(candidates[index]);
        chosen.push_back(index);
    }
    std::erase_if(chosen, [&](std::size_t index) {
        if (owners.bytes_of_nobody(candidates[index]) >= kWorthIt) return false;
        owners.add(candidates[index]);
        return true;
    });
    Owners before(candidates);
    std::vector<Choice> choices;
    choices.reserve(chosen.size());
    for (const std::size_t index : chosen) {
        choices.push_back({index, before.remove(candidates[index])});
    }
    return choices;
}

}  // namespace coffer::engine
