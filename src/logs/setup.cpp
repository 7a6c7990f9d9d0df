#include "logs/setup.hpp"

namespace coffer::logs {

void describe(json::Fields& f, const Setup& s) {
    f("path", s.path);
    f("isLocal", s.is_local);
    f("maxSize", s.max_size);
    f("maxFiles", s.max_files);
    f("compress", s.compress);
    f("attributes", s.attributes);
    f("program", s.program);
    f("remote", s.remote);
    f("mustConnect", s.must_connect);
    f("nonBlocking", s.non_blocking);
    f("buffer", s.buffer);
}

void describe(json::Fields& f, const Origin& s) {
    f("containerId", s.container_id);
    f("containerName", s.container_name);
    f("imageId", s.image_id);
    f("imageName", s.image_name);
    f("command", s.command);
    f("created", s.created);
    f("attributes", s.attributes);
    f("tag", s.tag);
    f("hostname", s.hostname);
}

void describe(json::Fields& f, const Remote& s) {
    f("driver", s.driver);
    f("options", s.options);
    f("origin", s.origin);
}

}  // namespace coffer::logs
