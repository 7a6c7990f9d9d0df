#include "network/ipam.hpp"

#include <algorithm>

#include "base/hash.hpp"
#include "base/text.hpp"

namespace coffer::network {
namespace {

int version_of(Family family) {
    return family == Family::V4 ? 4 : 6;
}

std::uint64_t saturate(AddressNumber number) {
    return static_cast<std::uint64_t>(std::min<AddressNumber>(number, UINT64_MAX));
}

// An address in a subnet; `what` begins the error.
Result<Address> parse_member(std::string_view text, const Prefix& subnet, const std::string& what) {
    const auto address = parse_address(text);
    if (!address) return fail(Code::InvalidArgument, "{}: invalid address", what);
    if (address->family != subnet.family())
        return fail(Code::InvalidArgument, "{}: parent subnet is an IPv{} block", what,
                    version_of(subnet.family()));
    if (!subnet.contains(*address))
        return fail(Code::InvalidArgument, "{}: parent subnet {} doesn't contain this address",
                    what, to_string(subnet));
    return *address;
}

Result<Prefix> parse_subnet(const std::string& text) {
    const auto subnet = parse_interface(text);
    if (!subnet)
        return fail(Code::InvalidArgument, "invalid subnet {}: invalid CIDR block notation", text);
    if (subnet->address != subnet->prefix.address)
        return fail(Code::InvalidArgument, "invalid subnet {}: it should be {}", text,
                    to_string(subnet->prefix));
    return subnet->prefix;
}

Result<Prefix> parse_range(const std::string& text, const Prefix& subnet) {
    const auto range = parse_interface(text);
    const std::string what = "invalid ip-range " + text;
    if (!range) return fail(Code::InvalidArgument, "{}: invalid CIDR block notation", what);
    const Prefix& prefix = range->prefix;
    if (prefix.family() != subnet.family())
        return fail(Code::InvalidArgument, "{}: parent subnet is an IPv{} block", what,
                    version_of(subnet.family()));
    if (prefix.length < subnet.length)
        return fail(Code::InvalidArgument, "{}: CIDR block is bigger than its parent subnet {}",
                    what, to_string(subnet));
    if (range->address != prefix.address)
        return fail(Code::InvalidArgument, "{}: it should be {}", what, to_string(prefix));
    if (!subnet.contains(prefix))
        return fail(Code::InvalidArgument, "{}: parent subnet {} doesn't contain ip-range", what,
                    to_string(subnet));
    return prefix;
}

}  // namespace

Result<AddressPool> parse_address_pool(std::string_view text) {
    AddressPool pool;
    bool has_base = false;
    for (const std::string& part : split(text, ',')) {
        const auto sides = cut(part, "=");
        const std::string_view key = sides ? sides->first : part;
        const std::string_view value = sides ? sides->second : "";
        if (key == "base") {
            const auto base = parse_interface(value);
            if (!base)
                return fail(Code::InvalidArgument, "invalid base of address pool: \"{}\"", value);
            pool.base = base->prefix;
            has_base = true;
        } else if (key == "size") {
            const auto size = parse_uint(value);
            if (!size || *size > 128)
                return fail(Code::InvalidArgument, "invalid size of address pool: \"{}\"", value);
            pool.size = static_cast<unsigned>(*size);
        } else {
            return fail(Code::InvalidArgument, "unexpected key '{}' in '{}'", key, part);
        }
    }
    const unsigned most = bits_of(pool.base.family()) - 2;
    if (!has_base || pool.size < pool.base.length || pool.size > most)
        return fail(Code::InvalidArgument,
                    "invalid address pool \"{}\": want base=CIDR,size=N with N from the length of "
                    "the base to {}",
                    text, most);
    return pool;
}

std::vector<AddressPool> standard_address_pools() {
    std::vector<AddressPool> pools;
    for (const char* base : {"172.17.0.0/16", "172.18.0.0/16", "172.19.0.0/16"})
        pools.push_back({*parse_prefix(base), 16});
    for (const char* base : {"172.20.0.0/14", "172.24.0.0/13", "192.168.0.0/16"})
        pools.push_back({*parse_prefix(base), 24});
    return pools;
}

AddressPool local_ipv6_pool(std::string_view unique) {
    const std::string digits = sha256_hex(unique);
    return {*parse_prefix(format("fd{}:{}:{}::/48", digits.substr(0, 2), digits.substr(2, 4),
                                 digits.substr(6, 4))),
            64};
}

Result<Prefix> choose_subnet(const std::vector<AddressPool>& pools, std::vector<Prefix> used,
                             Family family, unsigned length) {
    std::sort(used.begin(), used.end());
    for (const AddressPool& pool : pools) {
        if (pool.base.family() != family) continue;
        const unsigned size = length == 0 ? pool.size : length;
        if (size < pool.base.length) continue;
        // By the order of `used`, no later one begins before an earlier one.
        Prefix piece = prefix_of(pool.base.address, size);
        bool fits = true;
        for (const Prefix& other : used) {
            if (!other.overlaps(piece)) continue;
            const Address last = std::max(other.last(), piece.last());
            fits = last < pool.base.last();
            if (!fits) break;
            piece = prefix_of(advance(last, 1), size);
        }
        if (fits) return piece;
    }
    return fail(Code::Unavailable, "all predefined address pools have been fully subnetted");
}

Result<void> check(const SubnetConfig& config) {
    if (config.subnet.empty()) return {};
    const Prefix subnet = TRY(parse_subnet(config.subnet));
    if (!config.ip_range.empty()) TRY(parse_range(config.ip_range, subnet));
    if (!config.gateway.empty())
        TRY(parse_member(config.gateway, subnet, "invalid gateway " + config.gateway));
    for (const auto& [name, text] : config.auxiliary)
        TRY(parse_member(text, subnet, "invalid auxiliary address " + name));
    return {};
}

Result<Subnet> Subnet::create(const SubnetConfig& config) {
    TRY(check(config));
    Subnet subnet;
    subnet.prefix_ = TRY(parse_subnet(config.subnet));
    subnet.range_ = config.ip_range.empty() ? subnet.prefix_
                                            : TRY(parse_range(config.ip_range, subnet.prefix_));
    const Prefix& prefix = subnet.prefix_;
    // The network's own address, in IPv6 that of its routers; IPv4 has one for all as well.
    if (bits_of(prefix.family()) - prefix.length > 1) {
        subnet.taken_.insert(prefix.first());
        if (prefix.family() == Family::V4) subnet.taken_.insert(prefix.last());
    }
    for (const auto& [name, text] : config.auxiliary) subnet.taken_.insert(*parse_address(text));
    subnet.lowest_ = subnet.range_.first();
    if (config.gateway.empty()) {
        subnet.gateway_ = TRY(subnet.allocate());
    } else {
        subnet.gateway_ = *parse_address(config.gateway);
        if (!subnet.taken_.insert(subnet.gateway_).second)
            return fail(Code::Forbidden, "failed to allocate gateway ({}): Address already in use",
                        config.gateway);
    }
    return subnet;
}

Result<Address> Subnet::reserve(Address wanted) {
    if (!prefix_.contains(wanted))
        return fail(Code::InvalidArgument,
                    "invalid address {}: It does not belong to any of this network's subnets",
                    to_string(wanted));
    if (!taken_.insert(wanted).second) return fail(Code::Conflict, "Address already in use");
    return wanted;
}

Result<Address> Subnet::allocate() {
    for (Address address = lowest_; range_.contains(address); address = advance(address, 1)) {
        if (taken_.insert(address).second) {
            lowest_ = address;
            return address;
        }
        if (address == range_.last()) break;
    }
    return fail(Code::Unavailable, "no available IPv{} addresses on this network's address pools",
                version_of(prefix_.family()));
}

void Subnet::release(Address address) {
    if (!prefix_.contains(address) || address == gateway_) return;
    taken_.erase(address);
    if (address < lowest_ && range_.contains(address)) lowest_ = address;
}

std::uint64_t Subnet::in_use() const {
    return taken_.size();
}

std::uint64_t Subnet::available() const {
    const auto first = taken_.lower_bound(range_.first());
    const auto last = taken_.upper_bound(range_.last());
    // One less than its size, which might not fit.
    const AddressNumber span = range_.last().value - range_.first().value;
    const auto taken = static_cast<AddressNumber>(std::distance(first, last));
    return taken > span ? 0 : saturate(span - taken + 1);
}

std::string mac_of(Address address) {
    const std::uint32_t v = address.v4();
    return format("02:42:{:02x}:{:02x}:{:02x}:{:02x}", v >> 24, v >> 16 & 255, v >> 8 & 255,
                  v & 255);
}

bool is_mac(std::string_view text) {
    const auto parts = split(text, ':');
    return parts.size() == 6 && std::all_of(parts.begin(), parts.end(), [](const auto& part) {
               return part.size() == 2 && is_hex(to_lower(part));
           });
}

}  // namespace coffer::network
