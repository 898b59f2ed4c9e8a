import Broker
import ControlAPI
import ControlPanel
import DesktopModel
import HTTPTypes
import Hummingbird

/// Images: what there is, and which labs have it.
extension PanelRoutes {
    func showImages(_ visit: Visit) async throws -> PanelAnswer { .page(try await images(visit, visit.viewer())) }

    private func images(_ visit: Visit, _ viewer: Viewer, folder: String? = nil) async throws -> String {
        pages.images(
            try await administration.images(), folder: folder ?? shippedImage, operations: operations.unfinished(kind: "image-add"), for: viewer)
    }

    func addImage(_ visit: Visit) async throws -> PanelAnswer {
        do {
            let folder = try Untrusted.folder(visit.form["folder"])
            try takeIn(folder)
            await note(visit, "image-add", folder)
        } catch {
            return .page(
                try await images(visit, visit.viewer(try refusal(error, visit)), folder: visit.form["folder"]), status: .unprocessableContent)
        }
        return .redirect("/images", done: "imageAdding")
    }

    /// Begins to take an image in; open pages follow it.
    func takeIn(_ folder: String) throws(BrokerError) {
        _ = try operations.begin("image-add", of: folder) { [administration] progress in
            ImageMessage(try await administration.addImage(folder: folder, progress: progress))
        }
    }

    /// Has slow work end. What came to its end meanwhile stays as it is, and the page shows how.
    func cancelOperation(_ visit: Visit) async throws -> PanelAnswer {
        let id = try Untrusted.name(try visit.parameter("id"), field: "operation")
        guard let operation = operations.cancel(id) else { throw Problem.unknownOperation(id) }
        let back = Self.ownPath(visit.form["back"])
        guard operation.state == .running else { return .redirect(back) }
        await note(visit, "operation-cancel", operation.subject, operation.kind)
        return .redirect(back, done: "operationCancelled")
    }

    // MARK: One image

    private func image(_ visit: Visit) async throws -> ImageReport {
        try await administration.image(try Untrusted.name(try visit.parameter("name"), field: "image"))
    }

    func showImage(_ visit: Visit) async throws -> PanelAnswer { .page(try await page(of: try await image(visit), visit, visit.viewer())) }

    private func page(
        of image: ImageReport, _ visit: Visit, _ viewer: Viewer, chosen: [String] = [], notes: String? = nil, consequences: [String]? = nil
    ) async throws -> String {
        let before = try await administration.images().last { $0.version.image == image.version.image && $0.version.version < image.version.version }
        return pages.image(
            image, before: before, labs: try await administration.room().labs.map(\.lab.name), chosen: chosen, notes: notes ?? image.version.notes,
            consequences: consequences, for: viewer)
    }

    func changeImage(_ visit: Visit) async throws -> PanelAnswer {
        let image = try await image(visit)
        do {
            var change = ImageChange(notes: visit.form.raw("notes"))
            if !image.version.hasGuest { change.sharesIdentity = visit.form.has("sharesIdentity") }
            _ = try await administration.changeImage(image.version.name, change)
            await note(visit, "image-change", image.version.name, change.inShort)
        } catch {
            return .page(
                try await page(of: image, visit, visit.viewer(try refusal(error, visit)), notes: visit.form.raw("notes")), status: .unprocessableContent)
        }
        return .redirect("/images/\(image.version.name)", done: "imageChanged")
    }

    /// Gives an image to labs, or tells what that would mean for each of them.
    func giveImage(_ visit: Visit) async throws -> PanelAnswer {
        let image = try await image(visit)
        let (name, chosen) = (image.version.name, visit.form.all("lab"))
        do {
            guard !chosen.isEmpty else {
                return .page(
                    try await page(of: image, visit, visit.viewer(Refusal(text: visit.texts("error.noLabChosen"), field: "lab"))), status: .unprocessableContent)
            }
            var told: [String] = []
            for lab in chosen {
                for consequence in try await administration.consequences(of: LabChange(image: name), forLab: lab) {
                    told.append("\(lab): \(text(of: consequence, visit))")
                }
            }
            if visit.form["do"] == "preview" { return .page(try await page(of: image, visit, visit.viewer(), chosen: chosen, consequences: told)) }
            for lab in chosen {
                let changed = try await administration.changeLab(lab, LabChange(image: name))
                await note(visit, "lab-change", lab, changed.inShort)
            }
        } catch {
            return .page(try await page(of: image, visit, visit.viewer(try refusal(error, visit)), chosen: chosen), status: .unprocessableContent)
        }
        return .redirect("/images/\(name)", done: "imageGiven")
    }

    func deleteImage(_ visit: Visit) async throws -> PanelAnswer {
        let image = try await image(visit)
        do {
            try await administration.deleteImage(image.version.name)
        } catch {
            return .page(try await page(of: image, visit, visit.viewer(try refusal(error, visit))), status: .conflict)
        }
        await note(visit, "image-delete", image.version.name)
        return .redirect("/images", done: "imageDeleted")
    }
}
