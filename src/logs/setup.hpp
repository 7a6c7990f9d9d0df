#pragma once
// What the engine tells a shim about the log of its container, and the shim tells coffer-logger.
// Plain data.

#include "json/codec.hpp"
#include "logs/message.hpp"

namespace coffer::logs {

struct Setup {
    // The file: the log itself, or with a remote driver the copy that `logs` reads.
    std::string path;       // empty: none
    bool is_local = false;  // the format; false: json-file
    std::int64_t max_size = 10 * 1024 * 1024;
    std::int64_t max_files = 3;
    bool compress = false;
    std::string attributes;  // of each record of json-file: a JSON object, or empty

    std::string program;  // coffer-logger
    std::string remote;   // an encoded Remote; empty: the driver is a file

    bool must_connect = false;  // the start fails when the receiver cannot be reached
    bool non_blocking =
        false;  // lines are dropped when `buffer` is full; otherwise the program waits
    std::int64_t buffer = 1024 * 1024;
};
void describe(json::Fields& f, const Setup& s);

// Who writes, for the drivers that say it.
struct Origin {
    std::string container_id;
    std::string container_name;  // without the slash
    std::string image_id;
    std::string image_name;
    std::string command;
    std::string created;
    Attributes attributes;
    std::string tag;
    std::string hostname;
};
void describe(json::Fields& f, const Origin& s);

struct Remote {
    std::string driver;
    std::map<std::string, std::string> options;
    Origin origin;
};
void describe(json::Fields& f, const Remote& s);

}  // namespace coffer::logs
