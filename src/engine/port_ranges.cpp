#include "engine/port_ranges.hpp"

#include <algorithm>
#include <optional>

namespace coffer::engine {

namespace {

using Range = network::PortRange;
using Bindings = std::optional<std::vector<api::PortBinding>>;

std::string to_text(const Range& range) {
    return range.first == range.last ? std::to_string(range.first)
                                     : format("{}-{}", range.first, range.last);
}

// The key of a port or of a range: "80-90/tcp".
struct Key {
    std::string protocol;
    Range ports;
};
std::optional<Key> parse_key(const std::string& text) {
    const auto sides = cut(text, "/");
    const auto ports = network::parse_port_range(sides ? sides->first : text);
    if (!ports) return std::nullopt;
    return Key{sides ? std::string(sides->second) : "tcp", *ports};
}
std::string to_text(const Key& key) {
    return to_text(key.ports) + "/" + key.protocol;
}

template <class Value>
struct Entry {
    Key key;
    Value value;
};

// The host port that follows a range, when `next` is at the same address.
bool follows(const api::PortBinding& binding, const api::PortBinding& next) {
    const auto range = network::parse_port_range(binding.host_port);
    const auto other = network::parse_port_range(next.host_port);
    return range && other && binding.host_ip == next.host_ip && other->first == range->last + 1;
}

bool can_join(const Bindings& value, const Bindings& next) {
    return value && next && !value->empty() &&
           std::equal(value->begin(), value->end(), next->begin(), next->end(), follows);
}
void join(Bindings& value, const Bindings& next) {
    for (std::size_t i = 0; i < value->size(); ++i) {
        const Range whole{network::parse_port_range((*value)[i].host_port)->first,
                          network::parse_port_range((*next)[i].host_port)->last};
        (*value)[i].host_port = to_text(whole);
    }
}
bool can_join(const json::Empty&, const json::Empty&) {
    return true;
}
void join(json::Empty&, const json::Empty&) {}

Bindings piece_of(const Bindings& value, int distance) {
    Bindings piece = value;
    if (piece)
        for (api::PortBinding& binding : *piece)
            if (const auto range = network::parse_port_range(binding.host_port))
                binding.host_port = std::to_string(range->first + distance);
    return piece;
}
json::Empty piece_of(const json::Empty&, int) {
    return {};
}

// Whether each port has one host port, or none. Otherwise it is any free one of several.
bool is_exact(const Key& key, const Bindings& value) {
    return !value || std::all_of(value->begin(), value->end(), [&](const auto& binding) {
        const auto range = network::parse_port_range(binding.host_port);
        return !range || range->count() == key.ports.count();
    });
}
bool is_exact(const Key&, const json::Empty&) {
    return true;
}

template <class Value>
std::map<std::string, Value> join_entries(const std::map<std::string, Value>& ports) {
    std::map<std::string, Value> joined;
    std::vector<Entry<Value>> entries;
    for (const auto& [text, value] : ports)
        if (auto key = parse_key(text); key && is_exact(*key, value))
            entries.push_back({std::move(*key), value});
        else
            joined.emplace(text, value);
    std::sort(entries.begin(), entries.end(), [](const auto& one, const auto& other) {
        return std::tie(one.key.protocol, one.key.ports.first) <
               std::tie(other.key.protocol, other.key.ports.first);
    });
    for (std::size_t i = 0; i < entries.size();) {
        Entry<Value>& start = entries[i];
        for (++i; i < entries.size(); ++i) {
            const Entry<Value>& next = entries[i];
            if (next.key.protocol != start.key.protocol ||
                next.key.ports.first != start.key.ports.last + 1 ||
                !can_join(start.value, next.value)) {
                break;
            }
            join(start.value, next.value);
            start.key.ports.last = next.key.ports.last;
        }
        joined.emplace(to_text(start.key), std::move(start.value));
    }
    return joined;
}

template <class Value>
std::map<std::string, Value> split_entries(const std::map<std::string, Value>& ports) {
    std::map<std::string, Value> split;
    for (const auto& [text, value] : ports) {
        const auto key = parse_key(text);
        if (!key || key->ports.first == key->ports.last) {
            split.emplace(text, value);
            continue;
        }
        for (int i = 0; i < key->ports.count(); ++i) {
            const auto port = static_cast<std::uint16_t>(key->ports.first + i);
            split.emplace(to_text(Key{key->protocol, {port, port}}), piece_of(value, i));
        }
    }
    return split;
}

}  // namespace

api::PortMap join_ports(const api::PortMap& ports) {
    return join_entries(ports);
}
ExposedPorts join_ports(const ExposedPorts& ports) {
    return join_entries(ports);
}
api::PortMap split_ports(const api::PortMap& ports) {
    return split_entries(ports);
}
ExposedPorts split_ports(const ExposedPorts& ports) {
    return split_entries(ports);
}

Result<std::vector<network::PortRequest>> requests_of(
    const std::string& port, const std::vector<api::PortBinding>& bindings) {
    std::vector<network::PortRequest> requests;
    const auto key = parse_key(port);
    const bool many = key && key->ports.last > key->ports.first;
    network::PortRequest request = TRY(network::parse_container_port(
        many ? to_text(Key{key->protocol, {key->ports.first, key->ports.first}}) : port));
    for (const api::PortBinding& binding : bindings) {
        request.host_ip = binding.host_ip;
        TRY(network::parse_host_port(binding.host_port, request));
        if (many) {
            request.count = static_cast<std::uint16_t>(key->ports.count());
            request.host_port_last = request.host_port_first;
        }
        requests.push_back(request);
    }
    return requests;
}

}  // namespace coffer::engine
