#pragma once
// The tables of all routes, one per resource of the API; each stands at the top of its .cpp.
// Constant data.

#include "daemon/router.hpp"

namespace coffer::daemon {

std::span<const Route> artifact_routes();
std::span<const Route> container_routes();
std::span<const Route> container_file_routes();
std::span<const Route> container_stream_routes();
std::span<const Route> container_stats_routes();
std::span<const Route> exec_routes();
std::span<const Route> image_routes();
std::span<const Route> image_file_routes();
std::span<const Route> volume_file_routes();
std::span<const Route> network_routes();
std::span<const Route> secret_routes();
std::span<const Route> system_routes();
std::span<const Route> volume_routes();

inline Router all_routes() {
    return Router({system_routes(), container_routes(), container_stream_routes(),
                   container_stats_routes(), container_file_routes(), exec_routes(), image_routes(),
                   image_file_routes(), artifact_routes(), network_routes(), volume_routes(),
                   volume_file_routes(), secret_routes()});
}

}  // namespace coffer::daemon
