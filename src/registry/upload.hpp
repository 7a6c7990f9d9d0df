#pragma once
// Sending an image to a registry (OCI distribution specification 1.1, "Push"): blobs that are
// missing there, several at a time, each mounted from another repository where that is possible,
// then the manifest. An upload goes on where the connection broke. Safe from any thread.

#include <functional>
#include <string>
#include <vector>

#include "registry/client.hpp"
#include "sys/fd.hpp"

namespace coffer::registry {

struct BlobToSend {
    std::string digest;
    std::uint64_t size = 0;
    sys::Fd file;
    std::string mount_from;  // a repository of the same registry that has it; may be empty
};

struct ManifestToSend {
    std::string digest;
    std::string media_type;
    std::string text;
    std::string tag;  // or a digest
};

enum class SendStep { Preparing, AlreadyExists, Mounted, Pushing, Pushed };
struct SendUpdate {
    std::size_t blob = 0;  // index of it
    SendStep step = SendStep::Preparing;
    std::uint64_t current = 0;  // of Pushing
};
// Called from several threads.
using OnSend = std::function<void(const SendUpdate&)>;

// Errors are in docker's words: "denied: requested access to the resource is denied".
Result<void> send_blobs(Client& client, const std::string& repository,
                        const std::vector<BlobToSend>& blobs, const OnSend& on_send);
// Whether the repository has it, whatever its tags are, with all that it names then.
Result<bool> has_manifest(Client& client, const std::string& repository,
                          const ManifestToSend& manifest);
// Gives the subject of the manifest if the registry has taken note of it, else an empty text: then
// it is for us to list it (add_referrer).
Result<std::string> send_manifest(Client& client, const std::string& repository,
                                  const ManifestToSend& manifest);

}  // namespace coffer::registry
