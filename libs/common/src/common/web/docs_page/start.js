// Requests need a DPoP proof, which this page cannot make, so it only tries what is open to read.
SwaggerUIBundle({url: "openapi.json", dom_id: "#swagger-ui", deepLinking: true, validatorUrl: null, supportedSubmitMethods: ["get"]});
