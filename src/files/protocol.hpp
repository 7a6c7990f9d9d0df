#pragma once
// What the engine and coffer-files say to each other: JSON messages on a SOCK_SEQPACKET. Plain
// data, safe from any thread.
//
// The engine starts one coffer-files for each request, with the socket as descriptor 3, the input
// as 0, the output as 1 and, for Place::Running, a pidfd of the container as 4. It sends the
// Request. coffer-files answers once it has found what is asked for and again at its end; an answer
// that is not ok is the last one.
//
//   verb      input  output                                      first answer
//   stat                                                         stat
//   read             tar of the file or folder                   stat
//   write     tar                                                (input is read from now on)
//   tree             tar of the whole place
//   changes          "<kind> <path>" of each change, each ended by NUL
//   layer            tar of the changes, as a layer of an image
//   compare          changes of an image in regard to another one, as of "changes"
//   copy                                                         (then it is copied)

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "json/codec.hpp"

namespace coffer::files {

enum class Verb : std::uint8_t { Stat, Read, Write, Tree, Changes, Layer, Compare, Copy };

// Where the files are.
enum class Place : std::uint8_t {
    Running,    // in the namespaces of a container that runs
    Assembled,  // the file system that a container would have if it ran, with its mounts
    Image,      // its own files alone, without mounts, to be read
    Layers,     // its writable layer, beside those under it, to be read
    Images,     // the layers of two images, to be read
    Folder,     // a folder of the host alone: a volume
};

struct Request {
    Verb verb = Verb::Stat;
    Place place = Place::Running;
    std::vector<std::string> lower_dirs;  // top first; of Folder: that one
    std::string upper_dir;                // holds diff/ and work/
    std::vector<std::string> base_dirs;   // of Images: the other's layers, top first;
                                          // of copy: the folder that it all goes to
    std::string spec;                     // of Assembled: OCI, as JSON; root and mounts count

    std::string path;                  // of stat, read and write; absolute or from the root on
    bool keep_kinds = false;           // write: no folder becomes a file, nor the reverse
    std::optional<std::string> owner;  // write: the user ("name[:group]") whose it becomes
    // changes and layer: what the engine itself puts there, left out where it is empty.
    std::vector<std::string> engines_own;
};

struct Stat {
    std::string name;
    std::int64_t size = 0;
    std::uint32_t mode = 0;  // st_mode
    std::string mtime;       // RFC 3339
    std::string link_target;
};

struct Answer {
    bool ok = false;
    int code = 0;  // of Error
    int sys_errno = 0;
    std::string message;
    std::optional<Stat> stat;
};

void describe(json::Fields& f, const Request& s);
void describe(json::Fields& f, const Stat& s);
void describe(json::Fields& f, const Answer& s);

constexpr std::size_t kLargestMessage = 256 * 1024;

std::string encode(const Request& request);
Result<Request> decode_request(std::string_view text);
std::string encode(const Answer& answer);
Answer answer_of(const Error& error);
// The answer comes from a process that has looked at hostile files: it is checked. An Error when
// it is not ok.
Result<Answer> decode_answer(std::string_view text);

// One difference between a container and its image.
enum class ChangeKind : std::uint8_t { Modified, Added, Deleted };
struct Change {
    ChangeKind kind = ChangeKind::Modified;
    std::string path;
};
std::string encode(const Change& change);
Result<Change> decode_change(std::string_view text);

}  // namespace coffer::files
