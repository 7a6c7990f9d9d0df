#include "shim/io.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>

#include "sys/pty.hpp"

namespace coffer::shim {

namespace {

constexpr std::size_t kBlock = 16 * 1024;
constexpr std::size_t kFullInput = 256 * 1024;  // waiting for the program to read
constexpr auto kDrainLimit = std::chrono::seconds(2);

logs::Stream stream_of(Source source) {
    return source == Source::Stdout ? logs::Stream::Stdout : logs::Stream::Stderr;
}

Result<void> set_nonblocking(int fd) {
    if (::fcntl(fd, F_SETFL, O_NONBLOCK) != 0) return fail_errno("set non-blocking");
    return {};
}

}  // namespace

Io::Io(sys::Reactor& reactor, Options options) : reactor_(reactor), options_(std::move(options)) {
    outputs_[1].source = Source::Stderr;
}

Io::~Io() {
    reactor_.cancel(drain_limit_);
    reactor_.cancel(sweep_timer_);
    reactor_.cancel(drained_notice_);
    clients_.clear();
    close_input();
    for (Output& output : outputs_) {
        if (output.watched) reactor_.remove(output.fd.get());
    }
}

Result<runtime::Stdio> Io::make_pipes() {
    runtime::Stdio stdio;
    if (options_.terminal) return stdio;
    if (options_.open_stdin) {
        sys::PipeEnds pipe = TRY(sys::make_pipe());
        TRY(set_nonblocking(pipe.write.get()));
        theirs_[0] = std::move(pipe.read);
        input_ = std::move(pipe.write);
        stdio.in = theirs_[0].get();
    }
    if (!options_.keep_output) return stdio;
    for (std::size_t i = 0; i < 2; ++i) {
        sys::PipeEnds pipe = TRY(sys::make_pipe());
        TRY(set_nonblocking(pipe.read.get()));
        outputs_[i].fd = std::move(pipe.read);
        theirs_[i + 1] = std::move(pipe.write);
    }
    stdio.out = theirs_[1].get();
    stdio.err = theirs_[2].get();
    return stdio;
}

Result<void> Io::begin(sys::Fd console) {
    for (sys::Fd& end : theirs_) end.reset();
    if (console) {
        TRY(set_nonblocking(console.get()));
        terminal_ = TRY(sys::pty::open_peer(console.get()));
        outputs_[0].fd = std::move(console);
    }
    for (Output& output : outputs_) {
        if (output.fd) TRY(watch(output));
    }
    return {};
}

Result<void> Io::attach(sys::Fd socket, sys::Fd gate, const Client& client) {
    DetachKeys keys = TRY(DetachKeys::parse(client.detach_keys));
    Client wanted = client;
    wanted.use_stdin = wanted.use_stdin && input_fd() >= 0;
    ClientStream::Events events;
    events.input = [this](std::string_view bytes) { take_input(bytes); };
    events.input_end = [this](ClientStream& from) { end_input(from); };
    events.detached = options_.detached;
    events.drained = [this] { update_outputs(); };
    events.gone = [this] {
        update_outputs();
        if (sweep_timer_ == 0) {
            sweep_timer_ = reactor_.after(std::chrono::milliseconds(0), [this] { sweep(); });
        }
    };
    clients_.push_back(std::make_unique<ClientStream>(reactor_, std::move(socket), std::move(gate),
                                                      wanted, options_.terminal, std::move(keys),
                                                      std::move(events)));
    if (client.after_log && options_.log != nullptr) {
        for (const Source source : {Source::Stdout, Source::Stderr}) {
            clients_.back()->send(source, options_.log->waiting(stream_of(source)));
        }
    }
    return clients_.back()->watch();
}

Result<void> Io::resize(std::uint16_t rows, std::uint16_t columns) {
    if (!options_.terminal || !outputs_[0].fd) {
        return fail(Code::Conflict, "the process has no terminal");
    }
    return sys::pty::resize(outputs_[0].fd.get(), {rows, columns});
}

void Io::finish() {
    finished_ = true;
    terminal_.reset();
    close_input();
    update_outputs();
    drain_limit_ = reactor_.after(kDrainLimit, [this] {
        for (Output& output : outputs_) {
            if (output.fd) end_output(output);
        }
    });
    check_drained();
}

// ---- from the program ----

Result<void> Io::watch(Output& output) {
    output.watched = true;
    const bool is_terminal = options_.terminal;
    return reactor_.add(output.fd.get(), sys::kReadable,
                        [this, &output, is_terminal](std::uint32_t ready) {
                            if (is_terminal && (ready & sys::kWritable) != 0) write_input();
                            if ((ready & (sys::kReadable | sys::kHangUp)) != 0) on_output(output);
                        });
}

void Io::on_output(Output& output) {
    if (!output.fd) return;
    std::array<char, kBlock> block;
    const ssize_t n = ::read(output.fd.get(), block.data(), block.size());
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (n <= 0) return end_output(output);
    const std::string_view bytes(block.data(), static_cast<std::size_t>(n));
    if (options_.log != nullptr) options_.log->write(stream_of(output.source), bytes);
    if (options_.seen) options_.seen(bytes);
    for (const auto& client : clients_) client->send(output.source, bytes);
    update_outputs();
}

void Io::end_output(Output& output) {
    if (output.watched) reactor_.remove(output.fd.get());
    output.watched = false;
    output.fd.reset();
    if (options_.log != nullptr) options_.log->end(stream_of(output.source));
    check_drained();
}

// A client that does not read holds the program up, as a full terminal does, and so does a log
// that must not lose a line. Not after its end: what is left fits in a pipe.
bool Io::is_held_up() const {
    if (finished_) return false;
    if (options_.log != nullptr && options_.log->is_full()) return true;
    return std::any_of(clients_.begin(), clients_.end(),
                       [](const auto& client) { return client->is_full(); });
}

void Io::update_outputs() {
    const bool held_up = is_held_up();
    for (Output& output : outputs_) {
        if (!output.fd) continue;
        if (held_up && output.watched) {
            // Taken out whole: a hang-up would be reported for ever otherwise.
            reactor_.remove(output.fd.get());
            output.watched = false;
        } else if (!held_up && !output.watched) {
            ignore(watch(output), "it was watched before");
        }
    }
    write_input();
}

void Io::check_drained() {
    if (!finished_ || drained_ || outputs_[0].fd || outputs_[1].fd) return;
    drained_ = true;
    reactor_.cancel(drain_limit_);
    // From the loop: the caller may be in the middle of something that this ends. The exit is told
    // before the clients see the end of their streams: they ask the engine for the status then.
    drained_notice_ = reactor_.after(std::chrono::milliseconds(0), [this] {
        drained_notice_ = 0;
        if (options_.drained) options_.drained();
        for (const auto& client : clients_) client->finish();
        sweep();
    });
}

void Io::sweep() {
    // It may be on its way, and we may be gone after the notice below.
    reactor_.cancel(std::exchange(sweep_timer_, 0));
    std::erase_if(clients_, [](const auto& client) { return client->is_gone(); });
    // Never before the notice that all was read: an exec is forgotten here.
    if (drained_ && drained_notice_ == 0 && clients_.empty() && options_.abandoned) {
        const auto abandoned = std::exchange(options_.abandoned, nullptr);
        abandoned();
    }
}

// ---- to the program ----

int Io::input_fd() const {
    return options_.terminal ? outputs_[0].fd.get() : input_.get();
}

void Io::take_input(std::string_view bytes) {
    if (input_ending_) return;
    pending_input_.append(bytes);
    write_input();
}

void Io::end_input(ClientStream& client) {
    if (options_.stdin_once && !options_.terminal) {
        input_ending_ = true;
        write_input();
    } else {
        client.finish();
    }
}

void Io::write_input() {
    const int fd = input_fd();
    if (fd >= 0 && !pending_input_.empty()) {
        const ssize_t n = ::write(fd, pending_input_.data(), pending_input_.size());
        if (n > 0) pending_input_.erase(0, static_cast<std::size_t>(n));
        if (n < 0 && errno != EAGAIN && errno != EINTR) close_input();
    }
    if (fd < 0) pending_input_.clear();
    if (pending_input_.empty() && input_ending_) close_input();
    // Watched only while something waits: the pipe is writable nearly always.
    const bool wait = !pending_input_.empty();
    if (options_.terminal) {
        if (outputs_[0].watched) {
            ignore(reactor_.change(outputs_[0].fd.get(),
                                   sys::kReadable | (wait ? sys::kWritable : 0U)),
                   "it is watched");
        }
    } else if (input_ && wait != input_watched_) {
        if (wait) {
            ignore(reactor_.add(input_.get(), sys::kWritable,
                                [this](std::uint32_t) { write_input(); }),
                   "the next input tries again");
        } else {
            reactor_.remove(input_.get());
        }
        input_watched_ = wait;
    }
    const bool held = pending_input_.size() >= kFullInput;
    for (const auto& client : clients_) client->hold_input(held);
}

void Io::close_input() {
    pending_input_ = {};
    if (!input_) return;
    if (input_watched_) reactor_.remove(input_.get());
    input_watched_ = false;
    input_.reset();
}

}  // namespace coffer::shim
