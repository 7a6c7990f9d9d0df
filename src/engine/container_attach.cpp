// Attach: the log that there is, then the connection for the shim.

#include <sys/socket.h>
#include <sys/time.h>

#include "base/log.hpp"
#include "engine/containers_impl.hpp"
#include "engine/logging.hpp"
#include "http/stream.hpp"
#include "shim/detach_keys.hpp"

namespace coffer::engine {

namespace {

constexpr std::size_t kPiece = 16 * 1024;
// For a client to take anything of the log; the shim waits for a slow one in its own way.
constexpr timeval kSendLimit{30, 0};
constexpr timeval kNoLimit{0, 0};

// The client must have read the greeting: docker-py reads the head of a reply through a buffer and
// the rest around it, and loses what arrives together with the head.
Result<void> send_log(const Container& container, const logs::Place& place,
                      const AttachTicket& ticket, std::optional<Time> until, int connection) {
    logger::ReadOptions read;
    read.want_stdout = ticket.options.stdout_open;
    read.want_stderr = ticket.options.stderr_open;
    read.until = until;
    const bool framed = !ticket.tty && !ticket.options.raw;
    std::string pending;
    Result<void> sent;
    const auto flush = [&] {
        if (sent) sent = sys::write_all(connection, std::exchange(pending, {}));
        return sent.has_value();
    };
    sys::wait_until_read(connection);
    ::setsockopt(connection, SOL_SOCKET, SO_SNDTIMEO, &kSendLimit, sizeof kSendLimit);
    auto done = logger::read(place, read, [&](const logger::Record& record) {
        if (framed) {
            const auto header =
                http::frame_header(record.stream == logs::Stream::Stdout ? http::FrameType::Stdout
                                                                         : http::FrameType::Stderr,
                                   static_cast<std::uint32_t>(record.text.size()));
            pending.append(header.data(), header.size());
        }
        pending += record.text;
        return pending.size() < kPiece || flush();
    });
    flush();
    ::setsockopt(connection, SOL_SOCKET, SO_SNDTIMEO, &kNoLimit, sizeof kNoLimit);
    if (!done) return fail(Code::Internal, "log of {}: {}", container.id(), done.error().message);
    return sent;
}

}  // namespace

Result<AttachTicket> Containers::prepare_attach(const std::string& name,
                                                const AttachOptions& options) const {
    const auto container = TRY(impl_->find(name));
    const auto record = container->record();
    if (record->status == "paused") {
        return fail(Code::Conflict, "container {} is paused, unpause the container before attach",
                    name);
    }
    if (record->status == "restarting") {
        return fail(Code::Conflict,
                    "container {} is restarting, wait until the container is running", name);
    }
    TRY_CONTEXT(shim::DetachKeys::parse(options.detach_keys), "Invalid detach keys ({}) provided",
                options.detach_keys);
    if (options.logs) TRY(log_place(*record, impl_->folder(*record)));
    return AttachTicket{record->id, record->config.tty, options};
}

Result<void> Containers::attach(const AttachTicket& ticket, sys::Fd connection,
                                const std::string& greeting, std::string early) {
    const auto container = TRY(impl_->find(ticket.id));
    const auto record = container->record();
    std::optional<logs::Place> place;
    if (ticket.options.logs) place = TRY(log_place(*record, impl_->folder(*record)));
    const int socket = connection.get();
    if (!ticket.options.stream) {
        TRY(sys::write_all(socket, greeting));
        return place ? send_log(*container, *place, ticket, {}, socket) : Result<void>();
    }
    shim::Client client;
    client.use_stdin = ticket.options.stdin_open && record->config.open_stdin;
    client.use_stdout = ticket.options.stdout_open;
    client.use_stderr = ticket.options.stderr_open;
    client.raw = ticket.options.raw;
    client.detach_keys = ticket.options.detach_keys;
    client.early = std::move(early);
    impl_->publish_event(*record, "attach");
    sys::PipeEnds gate;
    std::optional<Time> attached;
    {
        // The claim keeps a start from passing between the look and the hand-over.
        const Container::Claim claim(container);
        const auto link = container->link();
        if (!link) {
            TRY(sys::write_all(socket, greeting));
            // What is in the log is of former runs: it comes before all that follows.
            if (place) TRY(send_log(*container, *place, ticket, {}, socket));
            container->add_pending({std::move(client), std::move(connection)});
            return {};
        }
        client.gated = true;
        client.after_log = ticket.options.logs;
        gate = TRY(sys::make_pipe());
        const int fds[] = {socket, gate.read.get()};
        const auto asked =
            link->request(shim::Attach{.exec_id = "", .client = std::move(client)}, fds);
        // A shim that does not answer may hold the connection yet, in a message that it has not
        // read.
        if (!asked) ::shutdown(socket, SHUT_RDWR);
        const shim::Reply reply = TRY(asked);
        if (!reply.ok) return fail(Code::Conflict, "attach: {}", reply.message);
        attached = parse_rfc3339(reply.time);
    }
    gate.read.reset();
    // The client may rely on all output from the greeting on. The shim sends nothing before the
    // gate closes with its other end, at the end of this function.
    TRY(sys::write_all(socket, greeting));
    if (place) return send_log(*container, *place, ticket, attached, socket);
    sys::wait_until_read(socket);
    return {};
}

}  // namespace coffer::engine
