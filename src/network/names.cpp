// The part of Networks that is about names: who finds whom by which, and the resolver that tells.

#include <algorithm>

#include "network/networks_state.hpp"

namespace coffer::network {
namespace {

constexpr std::size_t kShortId = 12;

bool is_named(const Network& network) {
    return network.driver == "bridge" && network.name != "bridge";
}

bool is_called(const Endpoint& endpoint, std::string_view plain, std::string_view name) {
    const auto names = Networks::names_of(endpoint);
    return std::any_of(names.begin(), names.end(), [&](const std::string& known) {
        return equals_ignoring_case(known, plain) || equals_ignoring_case(known, name);
    });
}

// "web" and "web.frontend" both mean the container web in the network frontend.
std::string_view without_network(std::string_view name, const std::string& network) {
    const std::size_t rest = name.size() - std::min(name.size(), network.size() + 1);
    if (rest == 0 || name[rest] != '.' || !equals_ignoring_case(name.substr(rest + 1), network))
        return name;
    return name.substr(0, rest);
}

// The addresses in one network of what the endpoint `asker` calls `name`; adds to `answer`.
void look_up(const KnownNetwork& known, const Endpoint& asker, std::string_view name,
             NameAnswer& answer) {
    const std::string_view plain = without_network(name, known.info.name);
    for (const auto& [id, endpoint] : known.endpoints) {
        const bool is_link = std::any_of(asker.links.begin(), asker.links.end(),
                                         [&, &other = endpoint](const auto& link) {
                                             return link.second == other.container_id &&
                                                    (equals_ignoring_case(link.first, plain) ||
                                                     equals_ignoring_case(link.first, name));
                                         });
        if (!is_link && !is_called(endpoint, plain, name)) continue;
        answer.known = true;
        for (const std::string& ip : {endpoint.ip, endpoint.ip6})
            if (const auto address = parse_address(ip)) answer.addresses.push_back(*address);
    }
}

void look_up_address(const KnownNetwork& known, const std::string& ip, NameAnswer& answer) {
    for (const auto& [id, endpoint] : known.endpoints) {
        if (endpoint.ip != ip && endpoint.ip6 != ip) continue;
        answer.known = true;
        answer.pointer = format("{}.{}", endpoint.container_name, known.info.name);
    }
}

}  // namespace

std::vector<std::string> Networks::names_of(const Endpoint& endpoint) {
    std::vector<std::string> names = {endpoint.container_name};
    names.insert(names.end(), endpoint.aliases.begin(), endpoint.aliases.end());
    names.push_back(endpoint.container_id.substr(0, kShortId));
    names.push_back(endpoint.hostname);
    std::vector<std::string> unique;
    for (std::string& name : names) {
        if (name.empty() || std::find(unique.begin(), unique.end(), name) != unique.end()) continue;
        unique.push_back(std::move(name));
    }
    return unique;
}

NameAnswer Networks::Impl::resolve(const std::string& container_id, const dns::Question& question) {
    NameAnswer answer;
    const auto reverse =
        question.type == dns::kPtr ? dns::parse_reverse(question.name) : std::nullopt;
    auto locked = state.lock();
    for (const auto& [id, known] : locked->networks) {
        const auto own = std::find_if(
            known.endpoints.begin(), known.endpoints.end(),
            [&](const auto& entry) { return entry.second.container_id == container_id; });
        if (own == known.endpoints.end()) continue;
        if (!known.info.internal) answer.may_ask_outside = true;
        if (!is_named(known.info) || !question.internet) continue;
        if (reverse) {
            look_up_address(known, to_string(*reverse), answer);
        } else if (!question.name.empty()) {
            look_up(known, own->second, question.name, answer);
        }
    }
    locked.unlock();
    std::erase_if(answer.addresses, [&](const Address& address) {
        return question.type != dns::kAny && question.type != dns::type_of(address);
    });
    if (!answer.known && answer.may_ask_outside && !egress.is_empty())
        answer.refused = !egress.may_ask(egress_keys(container_id), question.name);
    if (answer.refused) answer.may_ask_outside = false;
    return answer;
}

bool Networks::has_names(const Endpoint& endpoint) const {
    const auto network = get(endpoint.network_id);
    return network && is_named(*network);
}

bool Networks::needs_resolver(const Endpoint& endpoint) const {
    return !endpoint.egress.empty() || has_names(endpoint);
}

Result<void> Networks::serve_names(const std::string& container_id, int netns_fd,
                                   std::vector<std::string> servers) {
    Resolver* resolver = nullptr;
    {
        auto made = impl_->resolver.lock();
        if (!*made) {
            *made = TRY(Resolver::create(
                [impl = impl_.get()](const std::string& id, const dns::Question& question) {
                    return impl->resolve(id, question);
                },
                [impl = impl_.get()](const std::string& id, const dns::Question& question,
                                     std::string_view reply) {
                    impl->learn(id, question.name, reply);
                }));
        }
        resolver = made->get();
    }
    return resolver->serve(container_id, netns_fd, std::move(servers));
}

void Networks::stop_names(const std::string& container_id) {
    auto resolver = impl_->resolver.lock();
    if (*resolver) (*resolver)->stop(container_id);
}

}  // namespace coffer::network
