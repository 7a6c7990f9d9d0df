#include "cli/progress.hpp"

#include <algorithm>

#include "base/text.hpp"
#include "cli/terminal.hpp"
#include "cli/units.hpp"

namespace coffer::cli {

std::string progress_bar(const json::Value& detail, std::size_t columns) {
    const std::int64_t current = int_of(detail, "current");
    const std::int64_t total = int_of(detail, "total");
    const std::string units = text_of(detail, "units");
    if (current <= 0 && total <= 0) return {};
    const auto amount = [&](std::int64_t number) {
        return units.empty() ? human_size(static_cast<double>(number), 4) : format("{}", number);
    };
    if (total <= 0) {
        return units.empty() ? format("{:>8}", amount(current)) : format("{} {}", current, units);
    }
    const auto filled = static_cast<std::size_t>(std::clamp<std::int64_t>(
        static_cast<std::int64_t>(static_cast<double>(current) / static_cast<double>(total) * 100) /
            2,
        0, 50));
    std::string out;
    if (columns > 110) {
        out = format("[{}>{}] ", std::string(filled, '='), std::string(50 - filled, ' '));
    }
    if (bool_of(detail, "hidecounts")) return out;
    if (units.empty()) {
        out += current > total ? format("{:>8}", amount(current))
                               : format("{:>8}/{}", amount(current), amount(total));
    } else {
        out += current > total ? format("{} {}", current, units)
                               : format("{}/{} {}", current, total, units);
    }
    return out;
}

std::string ProgressDisplay::line_of(const json::Value& message) const {
    const json::Value* detail = message.find("progressDetail");
    const bool has_progress = detail != nullptr && !detail->is_null();
    const std::string stream = text_of(message, "stream");
    const std::string bar =
        has_progress ? progress_bar(*detail, on_terminal() ? columns_ : 200) : "";
    std::string out;
    std::string end;
    if (on_terminal() && stream.empty() && has_progress) {
        end = "\r";
        out = "\x1b[2K\r";
    } else if (has_progress && !bar.empty()) {
        return {};  // no bars in a file
    }
    if (const std::string id = text_of(message, "id"); !id.empty()) out += id + ": ";
    if (const std::string from = text_of(message, "from"); !from.empty()) {
        out += format("(from {}) ", from);
    }
    const std::string status = text_of(message, "status");
    if (has_progress && on_terminal()) {
        out += status + " " + bar + end;
    } else if (!stream.empty()) {
        out += stream + end;
    } else {
        out += status + end + "\n";
    }
    return out;
}

Result<std::string> ProgressDisplay::show(const json::Value& message) {
    if (const json::Value* detail = message.find("errorDetail")) {
        if (const std::string text = text_of(*detail, "message"); !text.empty()) {
            return fail(Code::Internal, "{}", text);
        }
    }
    if (const std::string text = text_of(message, "error"); !text.empty()) {
        return fail(Code::Internal, "{}", text);
    }
    if (message.find("aux") != nullptr) return std::string();
    const std::string id = text_of(message, "id");
    const json::Value* detail = message.find("progressDetail");
    std::string out;
    std::size_t up = 0;
    if (!id.empty() && detail != nullptr && !detail->is_null()) {
        const auto [line, is_new] = lines_.emplace(id, lines_.size());
        if (is_new && on_terminal()) out += "\n";
        up = lines_.size() - line->second;
        if (on_terminal()) out += format("\x1b[{}A", up);
    } else {
        lines_.clear();
    }
    out += line_of(message);
    if (!id.empty() && on_terminal() && up > 0) out += format("\x1b[{}B", up);
    return out;
}

Result<void> show_progress(http::Response& response, int fd, Show show, const OnAux& on_aux) {
    const std::size_t columns = is_terminal(fd) ? std::max(1U, window_size(fd).columns) : 0;
    ProgressDisplay display(columns);
    JsonLines lines(response);
    for (;;) {
        const std::optional<json::Value> message = TRY(lines.next());
        if (!message) return {};
        if (columns != 0) display.resize(std::max(1U, window_size(fd).columns));
        const std::string text = TRY(display.show(*message));
        if (show == Show::Progress) TRY(sys::write_all(fd, text));
        const json::Value* aux = message->find("aux");
        if (aux != nullptr && on_aux) on_aux(*aux);
    }
}

ByteCounter::ByteCounter(int fd, std::string what)
    : fd_(is_terminal(fd) ? fd : -1), what_(std::move(what)) {}

ByteCounter::~ByteCounter() {
    if (fd_ >= 0 && bytes_ > 0) ignore(sys::write_all(fd_, "\x1b[2K\r"), "it may have gone");
}

void ByteCounter::add(std::size_t bytes) {
    bytes_ += bytes;
    const auto now = std::chrono::steady_clock::now();
    if (fd_ < 0 || now - shown_ < std::chrono::milliseconds(100)) return;
    shown_ = now;
    ignore(sys::write_all(
               fd_, format("\x1b[2K\r{} {}", what_, human_size(static_cast<double>(bytes_), 4))),
           "it may have gone");
}

}  // namespace coffer::cli
