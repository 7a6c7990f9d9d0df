// Any bytes as what a client sends: the first byte says in which pieces they arrive. No piece size
// may change what the server answers, and nothing but well-formed replies may come back.

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <cstring>

#include "base/log.hpp"
#include "http/connection.hpp"
#include "http/stream.hpp"

namespace {

using namespace coffer;

class MemoryChannel final : public http::Channel {
  public:
    MemoryChannel(std::string_view input, std::size_t piece) : input_(input), piece_(piece) {}

    Result<std::size_t> read(char* to, std::size_t size, Limit) override {
        const std::size_t n = std::min({size, piece_, input_.size()});
        std::memcpy(to, input_.data(), n);
        input_.remove_prefix(n);
        return n;
    }
    using Channel::write;
    Result<void> write(std::span<const std::string_view> parts, Limit) override {
        for (const std::string_view part : parts) output += part;
        return {};
    }
    int fd() const override { return -1; }
    Result<sys::Fd> detach(std::string& early) override {
        output += "<" + early + std::string(input_) + ">";  // the next owner reads on
        return fail(Code::NotImplemented, "no socket");
    }

    std::string output;

  private:
    std::string_view input_;
    std::size_t piece_;
};

http::Reply answer(const http::Request& request) {
    if (request.path == "/up") return http::Reply::upgrade("x/raw", [](http::Upgraded) {});
    if (request.path == "/ignore") return http::Reply::text(200, "");
    auto body = request.body->read_all(100'000);
    if (!body) return http::Reply::text(400, body.error().message);
    std::string text = request.path + request.query.encode() + *body;
    if (request.path != "/stream") return http::Reply::text(200, std::move(text));
    return http::Reply::stream(
        200, "x/y", [text](http::StreamWriter& out) -> Result<void> { return out.write(text); });
}

// What is sent back, without the dates.
std::string converse(std::string_view input, std::size_t piece) {
    static const http::Server::Handler handler = answer;
    static const http::Server::ErrorReply error_reply = [](const Error& error) {
        return http::Reply::text(400, error.message);
    };
    static const http::ServerOptions options;
    static http::HangupWatcher hangups;
    static const Cancel stop;
    MemoryChannel channel(input, piece);
    http::Connection(channel, {}, {handler, error_reply, options, hangups, stop}).serve();
    std::string out = std::move(channel.output);
    for (std::size_t at = 0; (at = out.find("\r\nDate: ", at)) != std::string::npos; ++at) {
        const std::size_t end = out.find("\r\n", at + 2);
        out.erase(at, end - at);
    }
    return out;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size == 0) return 0;
    log::set_level(log::Level::Error);
    const std::string_view input(reinterpret_cast<const char*>(data) + 1, size - 1);
    const std::string whole = converse(input, input.size() + 1);
    if (converse(input, data[0] + std::size_t{1}) != whole) std::abort();
    if (!whole.empty() && !whole.starts_with("HTTP/1.1 ") && !whole.starts_with("<")) std::abort();
    if (http::parse_response_head(input)) static_cast<void>(http::find_head_end(input));
    static_cast<void>(http::FrameDecoder().feed(input));
    return 0;
}
