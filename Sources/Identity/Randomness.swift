import COpenSSL

/// Random bytes that secrets are made of.
public enum Randomness {
    /// So many bytes from libcrypto's generator. Any thread.
    ///
    /// The generator fails only where the kernel gives no randomness at all. No secret can then be made, so the process ends.
    public static func bytes(_ count: Int) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: count)
        guard RAND_bytes(&bytes, Int32(count)) == 1 else {
            fatalError("the system gives no random bytes: \(LibraryErrors.take())")
        }
        return bytes
    }
}
