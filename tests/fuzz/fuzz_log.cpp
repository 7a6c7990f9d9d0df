// Any bytes as the files of a log in both formats: the first byte says how they are cut into a
// rotated and a current one. Reading ends, gives no more records than there can be, and the tail is
// the end of the whole. What is left of a damaged file can be written on.

#include <unistd.h>

#include <cstdint>
#include <cstdlib>

#include "logger/reader.hpp"
#include "logs/file.hpp"
#include "sys/file.hpp"

namespace {

using namespace coffer;

std::vector<std::string> texts(const logs::Place& place, const logger::ReadOptions& options) {
    std::vector<std::string> out;
    const auto done = logger::read(place, options, [&](const logger::Record& record) {
        out.emplace_back(record.text);
        return true;
    });
    if (!done) std::abort();
    return out;
}

void check(logs::Format form, std::string_view older, std::string_view newer) {
    static const sys::TempDir folder = MUST(sys::TempDir::create("/dev/shm"));
    const std::string path = folder.path() + "/log";
    MUST(sys::write_file(path + ".1", older));
    MUST(sys::write_file(path, newer));
    const logs::Place place{path, form};
    const auto all = texts(place, {});
    if (all.size() > older.size() + newer.size()) std::abort();
    for (const std::size_t tail : {0U, 1U, 3U}) {
        logger::ReadOptions options;
        options.tail = tail;
        const auto last = texts(place, options);
        if (last.size() > tail + 1) std::abort();
    }
    {
        auto writer = MUST(logs::FileWriter::open({.path = path, .format = form, .max_size = -1}));
        MUST(writer.append({logs::Stream::Stdout, Time(), "after", std::nullopt}));
        MUST(writer.commit());
    }
    const auto more = texts(place, {});
    // A damaged file of Local is read up to the damage.
    if (form == logs::Format::Json && (more.empty() || more.back() != "after\n")) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size < 2) return 0;
    const std::string_view input(reinterpret_cast<const char*>(data) + 2, size - 2);
    const std::size_t cut = std::min<std::size_t>(input.size(), data[0] * std::size_t{8});
    check((data[1] & 1U) != 0 ? logs::Format::Local : logs::Format::Json, input.substr(0, cut),
          input.substr(cut));
    return 0;
}
