#include "cli/attached.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <thread>

#include "base/text.hpp"
#include "http/stream.hpp"

namespace coffer::cli {

namespace {

constexpr std::size_t kBuffer = 32 * 1024;
constexpr std::string_view kDefaultDetachKeys = "\x10\x11";  // ctrl-p, ctrl-q

}  // namespace

struct AttachedSession::Decoder {
    http::FrameDecoder frames;
};

AttachedSession::AttachedSession(Api& api, http::Upgraded connection, AttachOptions options,
                                 CaughtSignals signals)
    : api_(&api),
      options_(std::move(options)),
      signals_(std::move(signals)),
      connection_(std::move(connection.fd)),
      early_(std::move(connection.early)),
      input_open_(options_.input),
      decoder_(std::make_shared<Decoder>()) {}

Result<AttachedSession> AttachedSession::start(Api& api, http::Upgraded connection,
                                               AttachOptions options) {
    CaughtSignals signals = TRY(CaughtSignals::start(
        options.forward_signals ? CaughtSignals::Which::All : CaughtSignals::Which::Ending));
    AttachedSession session(api, std::move(connection), std::move(options), std::move(signals));
    const AttachOptions& chosen = session.options_;
    if (chosen.input && chosen.tty && is_terminal(STDIN_FILENO)) {
        std::string keys(kDefaultDetachKeys);
        if (!chosen.detach_keys.empty()) {
            if (Result<std::string> own = parse_detach_keys(chosen.detach_keys)) {
                keys = *std::move(own);
            } else {
                TRY(sys::write_all(STDERR_FILENO,
                                   format("invalid detach escape keys, using default: {}\n",
                                          own.error().message)));
            }
        }
        session.detach_ = DetachFilter(std::move(keys));
        session.terminal_ = TRY(RawTerminal::enter(STDIN_FILENO));
    }
    const int flags = ::fcntl(session.connection_.get(), F_GETFL);
    if (::fcntl(session.connection_.get(), F_SETFL, flags | O_NONBLOCK) != 0) {
        return fail_errno("set the connection to non-blocking");
    }
    if (!chosen.input) ::shutdown(session.connection_.get(), SHUT_WR);
    return session;
}

Result<void> AttachedSession::show_output(std::string_view bytes) {
    if (options_.tty) {
        return options_.output ? sys::write_all(STDOUT_FILENO, bytes) : Result<void>();
    }
    for (const http::Frame& frame : TRY(decoder_->frames.feed(bytes))) {
        switch (frame.type) {
            case http::FrameType::Stdin:
            case http::FrameType::Stdout:
                if (options_.output) TRY(sys::write_all(STDOUT_FILENO, frame.payload));
                break;
            case http::FrameType::Stderr:
                if (options_.errors) TRY(sys::write_all(STDERR_FILENO, frame.payload));
                break;
            case http::FrameType::SystemError:
                return fail(Code::Internal, "error from daemon in stream: {}", frame.payload);
        }
    }
    return {};
}

Result<void> AttachedSession::read_output() {
    std::array<char, kBuffer> buffer;
    const ssize_t got = ::read(connection_.get(), buffer.data(), buffer.size());
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) return {};
    if (got <= 0) {
        output_open_ = false;
        input_open_ = false;
        terminal_.restore();  // what is printed from here on is in normal mode
        return {};
    }
    return show_output(std::string_view(buffer.data(), static_cast<std::size_t>(got)));
}

Result<bool> AttachedSession::read_input() {
    std::array<char, kBuffer> buffer;
    const ssize_t got = ::read(STDIN_FILENO, buffer.data(), buffer.size());
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) return false;
    if (got <= 0) {
        input_open_ = false;
        write_pending();
        return false;
    }
    auto [bytes, detached] =
        detach_.feed(std::string_view(buffer.data(), static_cast<std::size_t>(got)));
    pending_ += bytes;
    write_pending();
    return detached;
}

void AttachedSession::write_pending() {
    while (!pending_.empty()) {
        const ssize_t sent =
            ::send(connection_.get(), pending_.data(), pending_.size(), MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR) continue;
        if (sent < 0 && errno == EAGAIN) return;
        if (sent < 0) {  // the other side does not read any more; its output may still come
            pending_.clear();
            input_open_ = false;
            return;
        }
        pending_.erase(0, static_cast<std::size_t>(sent));
    }
    if (!input_open_) ::shutdown(connection_.get(), SHUT_WR);
}

void AttachedSession::send_size() {
    if (!options_.tty || options_.resize_path.empty()) return;
    for (int attempt = 0; attempt < 10; ++attempt) {
        const WindowSize size = window_size(STDOUT_FILENO);
        if (size.rows == 0 && size.columns == 0) return;
        if (api_->post(options_.resize_path,
                       {{"h", format("{}", size.rows)}, {"w", format("{}", size.columns)}})) {
            return;
        }
        std::this_thread::sleep_for(std::chrono::milliseconds(10 * (attempt + 1)));
    }
}

Result<void> AttachedSession::handle_signal(int number) {
    if (number == SIGWINCH && options_.tty) {
        send_size();
        return {};
    }
    if (options_.forward_signals) {
        ignore(api_->post(options_.kill_path, {{"signal", std::string(signal_name(number))}}),
               "it may have ended meanwhile");
        return {};
    }
    if (number == SIGWINCH) return {};
    terminal_.restore();
    return Failure{Error{Code::Cancelled, number, ""}};
}

Result<void> AttachedSession::read_wait(http::Response& wait) {
    std::array<char, 4096> buffer;
    const std::size_t got = TRY(wait.body().read(buffer.data(), buffer.size()));
    wait_text_.append(buffer.data(), got);
    if (got > 0 && !wait.body().at_end()) return {};
    const json::Value reply = TRY_CONTEXT(json::parse(wait_text_), "error waiting for container");
    if (const std::string error = text_of(reply, "Error.Message"); !error.empty()) {
        return fail(Code::Internal, "Error waiting for container: {}", error);
    }
    status_ = static_cast<int>(int_of(reply, "StatusCode"));
    return {};
}

Result<AttachedSession::Outcome> AttachedSession::run(http::Response* wait) {
    TRY(show_output(early_));
    const bool wants_output = options_.output || options_.errors;
    for (;;) {
        if (!output_open_ && (wait == nullptr || status_)) return Outcome{End::Output, status_};
        if (!wants_output && status_) return Outcome{End::Exited, status_};
        const bool waits = wait != nullptr && !status_;
        if (waits && wait->has_buffered()) {
            TRY(read_wait(*wait));
            continue;
        }
        const short sending = pending_.empty() ? short{0} : short{POLLOUT};
        const bool typing = input_open_ && pending_.empty();
        std::array<pollfd, 4> polled = {{
            {output_open_ ? connection_.get() : -1, static_cast<short>(POLLIN | sending), 0},
            {signals_.fd(), POLLIN, 0},
            {waits ? wait->fd() : -1, POLLIN, 0},
            {typing ? STDIN_FILENO : -1, POLLIN, 0},
        }};
        if (::poll(polled.data(), polled.size(), -1) < 0) {
            if (errno == EINTR) continue;
            return fail_errno("wait for the container's output");
        }
        if (polled[1].revents != 0) {
            if (const int number = signals_.take(); number != 0) TRY(handle_signal(number));
        }
        if ((polled[0].revents & POLLOUT) != 0) write_pending();
        if ((polled[0].revents & ~POLLOUT) != 0) TRY(read_output());
        if (polled[2].revents != 0) TRY(read_wait(*wait));
        if (polled[3].revents != 0 && input_open_ && TRY(read_input())) {
            terminal_.restore();
            return Outcome{End::Detached, {}};
        }
    }
}

}  // namespace coffer::cli
