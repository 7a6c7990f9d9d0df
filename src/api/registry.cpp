#include "api/registry.hpp"

namespace coffer::api {

void describe(json::Fields& f, const RegistryHost& s) {
    f("Address", s.address);
    f("Repository", s.repository);
    f("URL", s.url);
    f("Capabilities", s.capabilities);
    f("Insecure", s.insecure);
    f("Login", s.login);
    f("PassedOver", s.passed_over);
    f("Source", s.source);
}

void describe(json::Fields& f, const ImagePin& s) {
    f("Reference", s.reference);
    f("Digest", s.digest);
    f("State", s.state);
}

void describe(json::Fields& f, const ImageSignature& s) {
    f("Payload", s.payload);
    f("Signature", s.signature);
}

void describe(json::Fields& f, const ImageSignatures& s) {
    f("Reference", s.reference);
    f("Digest", s.digest);
    f("Signatures", s.signatures);
}

void describe(json::Fields& f, const AddSignatureRequest& s) {
    f("Digest", s.digest);
    f("Signature", s.signature);
}

void describe(json::Fields& f, const RegistryRoute& s) {
    f("Reference", s.reference);
    f("Hosts", s.hosts);
    f("BlockedBy", s.blocked_by);
    f("Message", s.message);
    f("Problems", s.problems);
}

}  // namespace coffer::api
