import DesktopModel

/// What is told of what was refused: why, with the value, and what to do. What begins small is a part of something that is told.
enum Refused: String, Phrases {
    // MARK: What is not there, or not now
    case noDesktops = "lab '{0}' keeps no desktops: set its size with 'punnet lab set {0} --size N'"
    case unknownLab = "there is no lab '{0}'; 'punnet lab list' shows them"
    case unknownImage = "there is no image '{0}'; 'punnet image list' shows them"
    case unknownDesktop = "there is no desktop '{0}'; 'punnet desktop list' shows them"
    case unknownSeat = "there is no seat '{0}'; 'punnet seat list' shows them"
    case unknownPerson = "there is nobody named '{0}'"
    case unknownJoin = "no seat asks to join with the PIN '{0}'; 'punnet seat requests' shows those that do"
    case joinOver = "this request to join is over; ask anew"
    case tooManyJoins = "too many seats ask to join; try again when some were let in or refused"
    case unknownSession = "there is no open session {0}; 'punnet session list' shows them"
    case notYourSession = "session {0} belongs to another seat"
    case wordRefused = "the word is wrong, used or expired; 'punnet seat add' gives a new one"
    case seatIsOff = "seat '{0}' is off, or cannot be reached; switch it on first"
    case seatIsBlocked = "seat '{0}' is blocked; 'punnet seat set {0} --unblock' lets it be used again"
    case storage = "the database could not be written or read: {0}"
    case unavailable = "punnetd is starting or stopping; try again in a moment"

    // MARK: What others have or need
    case nameTaken = "there is already a {0} named '{1}'; choose another name"
    case inUse = "{0} '{1}' is still needed by {2}"
    case byImport = "another import of it; wait until it is done"
    case byWriting = "what is being written now; try again in a moment"
    case bySeat = "seat '{0}'; remove or move its seats first"
    case bySession = "session {0}; end it first"
    case byQuarantine = "an administrator, who has put it in quarantine; 'punnet desktop release {0}' ends that"
    case byLab = "lab '{0}'; give it another one first"
    case byLeasedDesktop = "desktop '{0}', until its session ends"
    case byDesktop = "desktop '{0}', which is being made anew; try again when it is ready"
    case byCheckpoint = "its checkpoint, which is being removed; try again in a moment"
    case byAppliance = "this appliance, which has no other administrator; add one first"

    // MARK: What the server refused
    case imageNotTakenIn = "image '{0}' was not taken in: {1}"
    case filesNotDeleted = "the files of image '{0}' were not deleted: {1}"
    case unmeasured = "what the server has is not known, so nothing can be promised; try again in a moment"
    case unmeasuredSince = "what the server has is not known, so nothing can be promised: {0}; try again in a moment"
    case notHashed = "a password could not be hashed: {0}"
    case notInTime = "{0} did not come within {1}"

    // MARK: What does not fit
    case doesNotFit = "this server holds {0} of this profile; {1} asked for ({2} vCPU, {3}): {4}"
    case oneDesktop = "{0} desktop"
    case desktops = "{0} desktops"
    case wasAsked = "{0} was"
    case wereAsked = "{0} were"
    case memoryEnds = "its memory ends first: each needs {0}, and {1} are left for them"
    case controlMemoryEnds = "dom0's memory ends first: each needs {0} there for its disk, and {1} are left for them"
    case diskEnds = "its disk ends first: each may grow to {0}, and {1} are left for them"
    case addressesEnd = "the desktops' network ends first: it has {0} addresses left for them"
    case chooseSize = "Choose a size of at most {0}"
    case makeOthersSmaller = "Make other labs smaller"
    case orLessMemory = "{0}, or less memory for each desktop"
    case orMoreControlMemory = "{0}, or give dom0 more memory (dom0_mem on Xen's command line)"
    case orFreeDisk = "{0}, free space on the disk, or use an image with a smaller one"
    case orLargerNetwork = "{0}, or set a larger 'network.subnet' in /etc/punnet/punnet.yaml"

    // MARK: A value that is not possible
    case invalid = "{0} '{1}' is not possible: {2}"
    case useRange = "use {0} to {1}"
    case useRangeOrAll = "use 1 to {0}, or 0 for all of the lab's size"
    case useRangeOrServer = "use 1 to {0}, or 0 for as many as the server allows"
    case useUpToADay = "use 0 seconds to a day"
    case useUpToAnHour = "use 0 seconds to an hour"
    case useMinuteToDay = "use a minute to a day, or 0 for never"
    case useMinuteToWeek = "use a minute to a week, or 0 for no limit"
    case imageNeeds = "image '{0}' needs at least {1}"
    case useAtMost = "use at most {0}"
    case ownMemoryTooSmall = "desktop '{0}' has {1} of its own, and it needs {2}; give it more, or its lab's, first"
    case takesMore = "it takes {0} more than now, and the server has {1} left beside what its labs are to have"
    case leaveIdentity = "leave it: each of its desktops has an identity of its own, by its package punnet-guest"
    case writeAtMost = "write at most {0} characters"
    case writeCharacters = "write {0} to {1} characters"
    case leadToInternetFirst =
        "this server keeps all desktops from it; set 'network.internet: true' in /etc/punnet/punnet.yaml first, and restart the server"
    case useHostName = "use 1 to 32 lower-case letters, digits and hyphens, a letter first"
    case usePersonName = "use 1 to 40 letters, digits and spaces"
    case useCharacters = "use {0} to {1} characters"
    case useOtherThanName = "use another word than the name"
    case useDays = "use {0} to {1} days"
    case sendRange = "send {0} to {1}, or nothing where it is not known"
    case sendCommitment = "send the SHA-256 of what was drawn for this request, 64 lower-case hexadecimal digits"
    case sendDrawn = "send what was drawn, 64 lower-case hexadecimal digits"

    // MARK: An image's folder
    case giveAbsolutePath = "give an absolute path on the appliance"
    case mustHoldDescription = "it must hold a readable 'image.json'"
    case mustBeSmall = "it must be smaller than 64 KiB and not empty"
    case notAsDescribed = "it is not as Docs/Lab.md describes it: {0}"
    case lacksKey = "'{0}' is missing"
    case wrongKind = "'{0}' is of the wrong kind"
    case notJSON = "it is no JSON object"
    case useBoot = "use 'pv' or 'pvh'"
    case writeMemory = "write it as '512MiB' or '1GiB'"
    case writeGuest = "write 1 where the image holds the package punnet-guest, and leave it out where it does not"
    case writeDigits = "write 64 hexadecimal digits"
    case nameFile = "name a file of the same folder"
    case useOneLine = "use 1 to {0} characters on one line"
}

/// Things and fields by the names that refusals give them. A field that is not among them has one name everywhere.
enum Named: String, Phrases {
    case lab, seat, person, image, desktop, session
    case labName = "lab name"
    case seatName = "seat name"
    case imageName = "image name"
    case name, size, memory, vCPUs, vcpus, role, place, days, password, message, notes, folder, file, text, order, warning, longest, idle, airing, internet
    case chain, key
    case leastReady = "least ready"
    case atOnce = "at once"
    case graceTime = "grace time"
    case airingInterval = "airing interval"
    case longestSession = "longest session"
    case idleTime = "idle time"
    case sharedIdentity = "shared identity"
    case leastReadyField = "leastReady"
    case atOnceField = "atOnce"
    case graceSeconds, afterSession, minimumMemory
}
