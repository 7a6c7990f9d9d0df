#pragma once
// Which hosts are asked for an image (GET /coffer/registry/resolve), and the signatures beside it
// there (/coffer/images/{name}/signatures), and pins. Plain data. A member is the snake case of its
// wire name.

#include <string>
#include <vector>

#include "json/codec.hpp"

namespace coffer::api {

struct RegistryHost {
    std::string address;
    std::string repository;                 // of the image there
    std::string url;                        // of the repository
    std::vector<std::string> capabilities;  // of "pull", "resolve" and "push"
    bool insecure = false;                  // TLS is not verified, or there is none
    std::string login;         // "client": what it sends along; "none", or the file it is in
    bool passed_over = false;  // it has just failed: others are asked first
    std::string source;        // the rule it is from
};

struct RegistryRoute {
    std::string reference;
    std::vector<RegistryHost> hosts;  // in the order to ask them
    std::string blocked_by;           // the rule; then there are no hosts
    std::string message;
    std::vector<std::string> problems;  // of files that are wrong, and count as they were before
};

struct ImageSignature {
    std::string payload;    // base64
    std::string signature;  // base64
};

struct ImageSignatures {
    std::string reference;
    std::string digest;  // what it stands for, an index or a manifest
    std::vector<ImageSignature> signatures;
};

struct AddSignatureRequest {
    std::string digest;
    ImageSignature signature;
};

// A tag that is held to a digest.
struct ImagePin {
    std::string reference;
    std::string digest;
    std::string state;  // "here", "absent", or "moved": the tag stands for another image here
};

void describe(json::Fields& f, const ImagePin& s);
void describe(json::Fields& f, const ImageSignature& s);
void describe(json::Fields& f, const ImageSignatures& s);
void describe(json::Fields& f, const AddSignatureRequest& s);
void describe(json::Fields& f, const RegistryHost& s);
void describe(json::Fields& f, const RegistryRoute& s);

}  // namespace coffer::api
