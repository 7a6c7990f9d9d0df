#pragma once
// One connection of the server: its requests in turn until it closes or is handed over. Belongs to
// the connection's thread.

#include "http/hangup.hpp"
#include "http/input.hpp"
#include "http/server.hpp"

namespace coffer::http {

struct ConnectionContext {
    const Server::Handler& handler;
    const Server::ErrorReply& error_reply;
    const ServerOptions& options;
    HangupWatcher& hangups;
    const Cancel& stop;
};

class Connection {
  public:
    Connection(Channel& channel, Peer peer, ConnectionContext context)
        : channel_(channel), peer_(std::move(peer)), context_(context), input_(channel) {}

    // Returns when there is no next request.
    void serve();

  private:
    enum class Next { Request, Close, Linger };
    Next serve_one();
    Next refuse(const Error& error, int status);
    Reply call_handler(const Request& request);
    Next send(const Request& request, Reply reply, FramedBody& body, bool keep);
    Next send_buffered(const Request& request, Reply& reply, bool keep);
    Next send_stream(const Request& request, Reply& reply, bool keep);
    Next hand_over(const Request& request, Reply& reply);
    // Reads what is left of a body, if that is cheap; false: the connection cannot go on.
    bool drain(FramedBody& body);
    void linger();

    Channel& channel_;
    Peer peer_;
    ConnectionContext context_;
    Input input_;
};

}  // namespace coffer::http
