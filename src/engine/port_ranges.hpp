#pragma once
// Ports of a container as its record keeps them: neighbours in a row are one entry, so that ten
// thousand ports take the room of one. Clients see each port by itself. Pure functions.
//
//     "10000/udp": [{"HostPort": "20000"}], "10001/udp": [{"HostPort": "20001"}]
//     "10000-10001/udp": [{"HostPort": "20000-20001"}]    the same, joined: port by port

#include <map>
#include <string>
#include <vector>

#include "api/network.hpp"
#include "json/codec.hpp"
#include "network/portmap.hpp"

namespace coffer::engine {

using ExposedPorts = std::map<std::string, json::Empty>;

// Joins what is split, and leaves what is joined or no port at all. Ports that take any free host
// port stay as they are.
api::PortMap join_ports(const api::PortMap& ports);
ExposedPorts join_ports(const ExposedPorts& ports);
// The other way round.
api::PortMap split_ports(const api::PortMap& ports);
ExposedPorts split_ports(const ExposedPorts& ports);

// What an entry of a record asks for, once for each of its bindings.
Result<std::vector<network::PortRequest>> requests_of(
    const std::string& port, const std::vector<api::PortBinding>& bindings);

}  // namespace coffer::engine
