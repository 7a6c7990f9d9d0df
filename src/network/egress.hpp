#pragma once
// Egress policies: what a container, or all containers of a network, may reach outside their
// network. A policy is words between blanks:
//
//   deny | allow         what holds where no rule does; `allow` when it is not said
//   audit                nothing is refused: what would be is counted
//   dns                  any name may be asked for, whatever the rules say
//   allow:TARGET, deny:TARGET
//                        the first rule that a packet meets decides
//
//   TARGET = HOST[:PORTS][/PROTOCOL]     PORTS = 443 or 80,443 or 8000-8999, PROTOCOL = tcp, udp,
//   sctp or icmp; HOST = any, an address, a prefix ([...] around IPv6 before ports), a name,
//   *.domain (every name below it), private (private and shared ranges, link-local), or metadata
//   (where clouds keep their credentials)
//
// A name stands for the addresses that the engine's resolver has just given the container for it.
// Pure functions, safe from any thread.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "network/address.hpp"

namespace coffer::network {

struct EgressRule {
    bool allow = false;
    std::string text;              // as it was written
    std::vector<Prefix> prefixes;  // with neither these nor a name: any address
    std::string name;              // lower case; "*.example.com" for all below
    std::string ports;             // in nft's words, "80, 443"; empty: all
    std::string protocol;          // empty: all, or with ports all that have them
};

struct EgressPolicy {
    std::vector<EgressRule> rules;
    bool allow = true;
    bool audit = false;
    bool any_name = false;
};

// InvalidArgument, naming the word. A policy that can refuse nothing is an error too.
Result<EgressPolicy> parse_egress(std::string_view text);

bool is_named_by(const EgressRule& rule, std::string_view name);
// Whether the name servers may be asked about it. What a container may ask it may also tell: under
// `deny`, only names that a rule allows.
bool may_ask(const EgressPolicy& policy, std::string_view name);

}  // namespace coffer::network
